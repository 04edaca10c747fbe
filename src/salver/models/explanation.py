"""A worker's reason for not loading, told in the user's terms: the line of model.toml instead of a key path."""

from __future__ import annotations

import msgspec

from salver.errors import Code
from salver.models.manifestfile import ManifestFile
from salver.replicas.base import Failure


def explained(failure: Failure, file: ManifestFile | None) -> Failure:
    """The failure with the place in model.toml that the worker's `where` means, if it means one, and always a fix."""
    if not failure.fix:
        failure = msgspec.structs.replace(failure, fix=_general_fix(failure.code))
    if file is None or not failure.where:
        return failure
    return msgspec.structs.replace(failure, message=f"{file.place(failure.where)}: {failure.message}")


def _general_fix(code: str) -> str:
    known = next((each for each in Code if each.value == code), Code.LOAD_FAILED)
    return known.fix
