"""A workflow's archive: what is in it, and the model archives that its functions become. Reads the disk."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.models.archive import unpack
from salver.models.archivesettings import read_document
from salver.models.naming import NAME_RULE, is_name
from salver.models.workflows.base import Node, Workflow
from salver.models.workflows.handlerfile import functions_of
from salver.models.workflows.spec import workflow_of

MANIFEST_NAME = "WAR-INF/MANIFEST.json"
MAX_BYTES = 1024 * 1024
"""Of the manifest, of the specification and of the handler file."""
MODEL_VERSION = "1.0"

_FIX = "Pack the workflow again with `torch-workflow-archiver`."


class _Words(msgspec.Struct, rename="camel"):
    workflow_name: str | None = None
    spec_file: str | None = None
    handler: str | None = None


class _Manifest(msgspec.Struct, rename="camel"):
    workflow: _Words | None = None


class OpenedWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow, checked, and the folder with its files."""

    workflow: Workflow
    folder: Path
    handler: str

    def write_function(self, node: Node, path: Path) -> None:
        """The model archive of a function: all the workflow's files, and the function as its handler."""
        manifest = {
            "createdOn": "01/01/2026 00:00:00",
            "runtime": "python",
            "model": {
                "modelName": self.workflow.model(node),
                "modelVersion": MODEL_VERSION,
                "handler": f"{self.handler}:{node.name}",
            },
            "archiverVersion": "0.12.0",
        }
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("MAR-INF/MANIFEST.json"), json.dumps(manifest))
            for file in sorted(self.folder.rglob("*")):
                place = file.relative_to(self.folder)
                if file.is_file() and place.parts[0] not in ("WAR-INF", "MAR-INF"):
                    archive.write(file, place.as_posix())


def open_workflow(archive: Path, scratch: Path, name: str | None, url: str) -> OpenedWorkflow:
    """The workflow in an archive, unpacked below `scratch`; `name` wins over the archive's own. Raises LoadError."""
    folder = archive if archive.is_dir() else _unpacked(archive, scratch, url)
    words = _words(folder, url)
    own_name = name or words.workflow_name or ""
    if not own_name:
        raise _refused(url, "Workflow name is not defined.")
    if not is_name(own_name):
        raise _refused(url, f"{own_name[:128]!r} is no name for a workflow: it must be {NAME_RULE}.")
    if not words.spec_file:
        raise _refused(url, "the manifest names no specFile.")
    spec = _inside(folder, words.spec_file, url)
    handler = Path(words.handler).name if words.handler else ""
    functions = functions_of(_read(_inside(folder, handler, url), url), handler) if handler else frozenset()
    document = read_document(_read(spec, url), f"{url}: {spec.name}", "the workflow's specification")
    workflow = workflow_of(document, own_name, url, functions, f"{url}: {spec.name}")
    return OpenedWorkflow(workflow=workflow, folder=folder, handler=handler)


def _unpacked(archive: Path, scratch: Path, url: str) -> Path:
    try:
        return unpack(archive, scratch)
    except LoadError as error:
        message = error.message.replace(str(archive), url)  # where the workflow store is, is nobody else's business
        raise LoadError(Code.MANIFEST_INVALID, message, fix=_FIX) from error


def _words(folder: Path, url: str) -> _Words:
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise _refused(url, f"it has no {MANIFEST_NAME}.")
    try:
        manifest = msgspec.json.decode(_read(path, url), type=_Manifest)
    except msgspec.DecodeError as error:
        raise _refused(url, f"{MANIFEST_NAME}: {error}") from error
    if manifest.workflow is None:
        raise _refused(url, "Missing Workflow entry in manifest file.")
    return manifest.workflow


def _inside(folder: Path, name: str, url: str) -> Path:
    path = folder / Path(name).name
    if not path.is_file():
        raise _refused(url, f"it has no file {Path(name).name}, which its manifest names.")
    return path


def _read(path: Path, url: str) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(url, f"{path.name} cannot be read: {error.strerror}.") from error
    if len(raw) > MAX_BYTES:
        raise _refused(url, f"{path.name} is larger than {MAX_BYTES} bytes.")
    return raw


def _refused(url: str, why: str) -> LoadError:
    return LoadError(Code.MANIFEST_INVALID, f"{url}: {why}", fix=_FIX)
