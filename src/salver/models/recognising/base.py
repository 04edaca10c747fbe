"""A file or folder as it is looked at, and what comes of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from salver.errors import Code, LoadError
from salver.models.foreign.base import Remark
from salver.models.marfile import MarManifest
from salver.models.pickles import BZ2_HEAD_BYTES, HEAD_BYTES, compression
from salver.models.zips import ZipRefused, open_zip

ZIP_START = b"PK\x03\x04"
PACKAGE = "package"
"""What stands in the place of a runtime's name until a package is opened."""


class Recognition(msgspec.Struct, frozen=True, kw_only=True):
    """What a path holds: the runtime that opens it, and whether opening it runs code of its own."""

    runtime: str
    artifact: Path
    """The file or folder that the runtime opens."""
    trust: Literal["data", "code"]
    label: str
    """For people, as `ONNX model (opset 13, 1 input)`."""
    function: str | None = None
    """The function of a Python file."""
    archive: MarManifest | None = None
    """What a model archive says of itself."""
    remarks: tuple[Remark, ...] = ()
    """What became of what an MLflow model says of itself."""
    options: dict[str, Any] = {}
    """What it tells the runtime, unless `[runtime]` of a model.toml says otherwise."""


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the recognisers see it: its place, its size, its first bytes, and the names in it when it is a zip."""

    path: Path
    size: int
    head: bytes
    members: tuple[str, ...] = ()

    @property
    def ending(self) -> str:
        return self.path.suffix.lower()


def view_file(path: Path) -> FileView:
    """Look at a file once. Raises LoadError(FORMAT_UNKNOWN) when it cannot be read or is no ordinary file."""
    if not path.is_file():
        raise LoadError(Code.FORMAT_UNKNOWN, f"{path} is not an ordinary file")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            if compression(head) == "bzip2":
                head += file.read(BZ2_HEAD_BYTES)
            size = os.fstat(file.fileno()).st_size
        members = _zip_members(path) if head.startswith(ZIP_START) else ()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Make the file readable for the server.") from error
    except ZipRefused as refused:
        fix = "Copy the file again; it may have been cut short."
        raise LoadError(Code.FORMAT_UNKNOWN, f"{path} {refused}", fix=fix) from refused
    return FileView(path=path, size=size, head=head, members=members)


def _zip_members(path: Path) -> tuple[str, ...]:
    with open_zip(path) as archive:
        return tuple(archive.namelist())
