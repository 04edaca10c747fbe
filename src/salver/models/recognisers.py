"""What knows the files of each runtime, by their content. Bounded amounts are read, nothing of it is run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveLimits, ArchiveRefused
from salver.models.foreign.base import Remark
from salver.models.foreign.beside import mlflow_model
from salver.models.foreign.mlflow import FILE_NAME as MLFLOW_FILE
from salver.models.marfile import (
    LEGACY_NAME,
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    MarManifest,
    parse_legacy_manifest,
    parse_mar_manifest,
)
from salver.models.onnxfile import read_outline
from salver.models.pickles import BZ2_HEAD_BYTES, HEAD_BYTES, compression, pickle_kind
from salver.models.protofields import CutShort
from salver.models.pythonfile import MAX_SOURCE_BYTES, pick_function
from salver.models.tars import find_member
from salver.models.unserved import unserved_file
from salver.models.zips import ZipRefused, open_zip
from salver_worker.runtimes.specs import spec_named

ZIP_START = b"PK\x03\x04"
TAR_ENDINGS = (".tar.gz", ".tgz")


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


def _echo(view: FileView, _function: str | None) -> Recognition | None:
    if view.ending != ".echo":
        return None
    return Recognition(runtime="echo", artifact=view.path, trust="data", label="echo")


def _python(view: FileView, function: str | None) -> Recognition | None:
    if view.ending != ".py":
        return None
    with view.path.open("rb") as file:
        name = pick_function(file.read(MAX_SOURCE_BYTES), view.path.name, function)
    label = "Python file" if name is None else f"Python function {name}"
    return Recognition(runtime="function", artifact=view.path, trust="code", label=label, function=name)


def _onnx(view: FileView, _function: str | None) -> Recognition | None:
    if view.head.startswith(b"ORTM", 4):
        return Recognition(runtime="onnx", artifact=view.path, trust="data", label="ONNX model (ORT format)")
    try:
        with view.path.open("rb") as file:
            outline = read_outline(file, view.size)
    except CutShort as error:
        if view.ending != ".onnx":
            return None
        message = f"{view.path} is an ONNX model that is cut short: it has {view.size} bytes and needs more"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Copy the file again.") from error
    if outline is None:
        return None
    return Recognition(runtime="onnx", artifact=view.path, trust="data", label=outline.label)


def _sklearn(view: FileView, _function: str | None) -> Recognition | None:
    is_another = unserved_file(view.path.name, view.head) is not None
    kind = "skops file" if "schema.json" in view.members else pickle_kind(view.head)
    if kind is None or is_another:
        return None
    return Recognition(runtime="sklearn", artifact=view.path, trust="code", label=f"scikit-learn model ({kind})")


def _mar(view: FileView, _function: str | None) -> Recognition | None:
    if compression(view.head) == "gzip" and view.path.name.lower().endswith(TAR_ENDINGS):
        return _packed_mar(view)
    if MANIFEST_NAME in view.members:
        return recognise_archive(view.path, _member(view.path, MANIFEST_NAME))
    if LEGACY_NAME in view.members and (found := recognise_legacy(view.path, _member(view.path, LEGACY_NAME))):
        return found
    return archive_without_manifest(view.path) if view.ending == ".mar" and view.members else None


def _packed_mar(view: FileView) -> Recognition | None:
    """What `model-archiver --archive-format tgz` makes: the manifest below a folder of the model's name."""
    try:
        raw = find_member(view.path, f"/{MANIFEST_NAME}", MAX_MANIFEST_BYTES, ArchiveLimits())
    except ArchiveRefused:
        return None  # a tar of something else; unpacking says what is wrong with one that is meant
    return None if raw is None else recognise_archive(view.path, raw)


def _member(path: Path, name: str) -> bytes:
    try:
        with open_zip(path) as archive, archive.open(name) as entry:
            return entry.read(MAX_MANIFEST_BYTES)
    except ZipRefused as refused:
        raise LoadError(Code.FORMAT_UNKNOWN, f"{path} {refused}", fix="Copy the file again.") from refused


def recognise_archive(path: Path, manifest: bytes) -> Recognition:
    archive = parse_mar_manifest(manifest, str(path))
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


def recognise_mlflow(folder: Path) -> Recognition:
    """The flavour of an MLflow model that is served. Raises LoadError when none is."""
    model = mlflow_model(folder)
    spec = spec_named(model.runtime)
    path = folder / model.file
    if not path.exists():
        message = f"{folder / MLFLOW_FILE} names the file {model.file}, which is not there"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Copy the model's folder again, whole.")
    trust: Literal["data", "code"] = "data" if spec is not None and spec.trust == "data" else "code"
    return Recognition(
        runtime=model.runtime,
        artifact=path,
        trust=trust,
        label=f"MLflow model ({model.made_with})",
        remarks=model.remarks,
    )


def recognise_legacy(path: Path, manifest: bytes) -> Recognition | None:
    """An archive of MMS 0.4, or None when the manifest is another program's."""
    archive = parse_legacy_manifest(manifest, str(path))
    if archive is None:
        return None
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


def archive_without_manifest(path: Path) -> Recognition:
    """Files and a handler that somebody must name."""
    archive = MarManifest(name=None, version=None, handler=None)
    return Recognition(runtime="mar", artifact=path, trust="code", label=archive.label, archive=archive)


RECOGNISERS: dict[str, Callable[[FileView, str | None], Recognition | None]] = {
    "echo": _echo,
    "function": _python,
    "onnx": _onnx,
    "mar": _mar,
    "sklearn": _sklearn,
}
"""What knows a runtime's files, by the runtime's name, in the order in which they are asked."""
