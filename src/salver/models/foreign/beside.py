"""Reads the file of another server that lies beside a model. The disk is read: not for an event loop."""

from __future__ import annotations

from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.foreign import mlserver, triton
from salver.models.foreign.base import MAX_BYTES, Declared, ForeignFile, broken_rule, refused, with_artifact
from salver.models.foreign.mlflow import FILE_NAME as MLFLOW_FILE
from salver.models.foreign.mlflow import MlflowModel, read_model
from salver.models.foreign.tritonconfig import read_text
from salver.models.textproto import TextProtoError

FILE_NAMES = (triton.FILE_NAME, mlserver.FILE_NAME)
MAX_LABELS = 100_000


def has_foreign_file(folder: Path) -> bool:
    return any((folder / name).is_file() for name in FILE_NAMES)


def foreign_file(model: Path, version: Path) -> ForeignFile | None:
    """The file of another server about one version, from the version's folder or the model's.

    Raises LoadError: MANIFEST_INVALID for what is wrong in it, FORMAT_UNKNOWN for what this release lacks.
    """
    for folder in dict.fromkeys((version, model)):
        if (folder / triton.FILE_NAME).is_file():
            return _triton(folder / triton.FILE_NAME, version)
        if (folder / mlserver.FILE_NAME).is_file():
            return _mlserver(folder / mlserver.FILE_NAME)
    return None


def triton_config(folder: Path) -> Declared | None:
    """What the folder's config.pbtxt declares, if there is one that can be read."""
    path = folder / triton.FILE_NAME
    if not path.is_file():
        return None
    try:
        return triton.declared(_config(path), str(path))
    except LoadError:
        return None


def mlflow_model(folder: Path) -> MlflowModel:
    """Raises LoadError."""
    path = folder / MLFLOW_FILE
    return read_model(_read(path), str(path))


def _triton(path: Path, version: Path) -> ForeignFile:
    config = _config(path)
    declared = triton.declared(config, str(path))
    file = triton.FILES[triton.runtime_of(config)]
    artifact = declared.manifest.artifact or file
    if (version / artifact).is_dir():  # of ONNX: a model with its weights beside it
        declared = with_artifact(declared, f"{artifact}/{file}" if file == triton.ONNX_FILE else artifact)
    labels = {name: _labels(path, file) for name, file in declared.label_files.items()}
    return _file(path, declared, labels)


def _config(path: Path) -> dict[str, object]:
    raw = _read(path)
    try:
        return read_text(raw.decode("utf-8-sig"))
    except (TextProtoError, UnicodeDecodeError) as error:
        raise refused(str(path), str(error)) from error


def _mlserver(path: Path) -> ForeignFile:
    declared = mlserver.declared(_read(path), str(path))
    artifact = path.parent / (declared.manifest.artifact or "")
    is_whole = (artifact / MLFLOW_FILE).is_file() or declared.manifest.runtime_name == "transformers"
    if declared.manifest.artifact and artifact.is_dir() and not is_whole:
        inside = [name for name in mlserver.FILES if (artifact / name).is_file()]
        declared = with_artifact(declared, f"{declared.manifest.artifact}/{(*inside, mlserver.FILES[0])[0]}")
    return _file(path, declared, {})


def _file(path: Path, declared: Declared, labels: dict[str, tuple[str, ...]]) -> ForeignFile:
    problem = broken_rule(declared)
    if problem is not None:
        raise refused(str(path), problem.text, problem.fix)
    return ForeignFile(path=str(path), text="", manifest=declared.manifest, declared=declared, labels=labels)


def _labels(config: Path, name: str) -> tuple[str, ...]:
    """One label on each line of a file of the model's folder."""
    folder = config.parent
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise refused(str(config), f"label_filename {name} lies outside of the model's folder")
    if not path.is_file():
        raise refused(str(config), f"there is no file {name}, which label_filename names")
    lines = _read(path).decode(errors="replace").splitlines()
    if len(lines) > MAX_LABELS:
        raise refused(str(config), f"{name} has more than {MAX_LABELS} labels")
    return tuple(line.strip() for line in lines)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise LoadError(Code.MANIFEST_INVALID, message, fix="Make the file readable for the server.") from error
    if len(raw) > MAX_BYTES:
        raise refused(str(path), f"it is larger than {MAX_BYTES} bytes")
    return raw
