"""Which file of a folder R opens."""

from __future__ import annotations

import os

from salver_worker.failures import LoadFailure

CODE = "predict.R"


def find_file(path: str) -> str:
    """The file itself, or the predict.R of a folder."""
    if not os.path.isdir(path):
        return path
    code = os.path.join(path, CODE)
    if os.path.isfile(code):
        return code
    raise LoadFailure("there is no %s in %s" % (CODE, path), fix="Name the file that R opens with `artifact`.")
