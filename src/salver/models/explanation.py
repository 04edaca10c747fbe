"""A worker's reason for not loading, told in the user's terms: the line of model.toml instead of a key path."""

from __future__ import annotations

import msgspec

from salver.models.manifestfile import ManifestFile, describe_worker_error
from salver.replicas.base import Failure


def explained(failure: Failure, file: ManifestFile | None) -> Failure:
    """The failure with the place in model.toml that the worker's `where` means, if it means one."""
    if file is None or not failure.where:
        return failure
    place = describe_worker_error(failure.where, file.text)
    return msgspec.structs.replace(failure, message=f"{file.path}, {place}: {failure.message}")
