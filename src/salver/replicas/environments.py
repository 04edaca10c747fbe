"""The interpreter a version runs in: today the server's own, or one that model.toml names."""

from __future__ import annotations

import os
import shutil

from salver.errors import Code, LoadError


def interpreter(wanted: str) -> str:
    """The absolute path of an interpreter. Raises LoadError(ENVIRONMENT_BROKEN) when it is not there."""
    path = os.path.expanduser(wanted)
    found = path if os.path.isabs(path) else shutil.which(path)
    if found is None or not os.path.isfile(found) or not os.access(found, os.X_OK):
        raise LoadError(
            Code.ENVIRONMENT_BROKEN,
            f"The interpreter {wanted} is not there or cannot be run.",
            fix="Correct `python` under [environment] in model.toml, or leave it out to use the server's own.",
        )
    return found
