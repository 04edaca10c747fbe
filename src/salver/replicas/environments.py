"""The interpreter a version runs in: today the server's own, or one that model.toml names."""

from __future__ import annotations

import os
import shutil
import sys

from salver.errors import Code, LoadError


def interpreter(wanted: str | None) -> str:
    """The absolute path of the interpreter. Raises LoadError(ENVIRONMENT_BROKEN) when it is not there."""
    if wanted is None:
        return sys.executable
    path = os.path.expanduser(wanted)
    found = path if os.path.isabs(path) else shutil.which(path)
    if found is None or not os.access(found, os.X_OK):
        raise LoadError(
            Code.ENVIRONMENT_BROKEN,
            f"model.toml asks for the interpreter {wanted}, which is not there or cannot be run.",
            fix="Correct `python` under [environment] in model.toml, or leave it out to use the server's own.",
        )
    return found
