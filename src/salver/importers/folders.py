"""Triton repositories, MLServer folders and MLflow models: their own files are read as they lie, so they are kept."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from salver.errors import LoadError
from salver.importers.base import Fate, Imported, ImportedModel, Problem, Remark, Surroundings, unreadable
from salver.importers.found import sources, version_of
from salver.models.foreign import mlflow, mlserver, triton
from salver.models.foreign.beside import foreign_file, mlflow_model
from salver.models.formats import HIDDEN
from salver.models.naming import clean_name
from salver.models.sources import ModelSource
from salver.types import VersionPolicy

MAX_FOLDERS = 10_000
MAX_DEPTH = 5


class Triton:
    """A repository, or one model of it."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and any(_with_file(path, triton.FILE_NAME, 1))

    def read(self, path: Path, around: Surroundings) -> Imported:
        folders = [path] if (path / triton.FILE_NAME).is_file() else _folders(path)
        text = "the command's flags stand in no file; `salver serve --help` lists ours"
        return Imported(
            server=triton.SERVER,
            source=str(path),
            models=tuple(_triton(folder, around) for folder in folders),
            settings={"compat": ["openinference"]},
            remarks=(
                Remark("ports", Fate.MAPPED, "net.compat = openinference opens 8000, for gRPC 8001, for metrics 8002"),
                Remark("flags", Fate.UNSUPPORTED, text),
            ),
        )


class MlServer:
    """A folder with the settings of the server, of models, or both."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and any(_with_file(path, mlserver.FILE_NAME, MAX_DEPTH))

    def read(self, path: Path, around: Surroundings) -> Imported:
        found = [_mlserver(folder, around) for folder in _with_file(path, mlserver.FILE_NAME, MAX_DEPTH)]
        file = path / "settings.json"
        settings, remarks = _server_settings(file) if file.is_file() else ({}, ())
        ordered = sorted(found, key=lambda model: model.name)
        groups = itertools.groupby(ordered, lambda model: model.name)
        models = tuple(_together(list(group)) for _, group in groups)
        return Imported(
            server=mlserver.SERVER, source=str(path), models=models, settings=settings, remarks=tuple(remarks)
        )


class Mlflow:
    """One model."""

    def fits(self, path: Path) -> bool:
        return path.is_dir() and (path / mlflow.FILE_NAME).is_file()

    def read(self, path: Path, around: Surroundings) -> Imported:
        name = clean_name(path.resolve().name)
        try:
            remarks = mlflow_model(path).remarks
        except LoadError as error:
            model = ImportedModel(name=name, problem=Problem.of(error))
            return Imported(server=mlflow.SERVER, source=str(path), models=(model,))
        model = _kept(name, path, around, remarks)
        return Imported(server=mlflow.SERVER, source=str(path), models=(model,))


def _triton(folder: Path, around: Surroundings) -> ImportedModel:
    try:
        file = foreign_file(folder, folder)
    except LoadError as error:
        return ImportedModel(name=clean_name(folder.name), problem=Problem.of(error))
    declared = None if file is None else file.declared
    kept = [] if declared is None else [triton.FILE_NAME, *declared.label_files.values()]
    model = _kept(clean_name(folder.resolve().name), folder, around, () if declared is None else declared.remarks)
    policy = None if declared is None or declared.policy == VersionPolicy() else declared.policy
    return msgspec.structs.replace(model, files=tuple(folder / name for name in dict.fromkeys(kept)), policy=policy)


def _mlserver(folder: Path, around: Surroundings) -> ImportedModel:
    try:
        file = foreign_file(folder, folder)
    except LoadError as error:
        return ImportedModel(name=clean_name(folder.resolve().name), problem=Problem.of(error))
    remarks = () if file is None else file.declared.remarks
    name = None if file is None else file.manifest.name
    return _kept(clean_name(name or folder.resolve().name), folder, around, remarks)


def _kept(name: str, folder: Path, around: Surroundings, remarks: Sequence[Remark]) -> ImportedModel:
    """A model that is served from its own folder."""
    found, problems = sources(folder, around.scratch)
    models: list[ModelSource] = [source for group in found.values() for source in group]
    if not models:
        why = next(iter(problems.values()), Problem("it holds no model", "Look at the folder."))
        return ImportedModel(name=name, remarks=tuple(remarks), problem=why)
    failed = tuple(
        Remark(f"version {Path(place).name}", Fate.UNSUPPORTED, problem.message) for place, problem in problems.items()
    )
    return ImportedModel(name=models[0].name, versions=tuple(map(version_of, models)), remarks=(*remarks, *failed))


def _together(models: Sequence[ImportedModel]) -> ImportedModel:
    """Versions of one model that lie in folders of their own."""
    versions = sorted((version for model in models for version in model.versions), key=lambda each: each.number)
    numbers = [version.number for version in versions]
    twice = next((number for number in numbers if numbers.count(number) > 1), None)
    problem = next((model.problem for model in models if model.problem), None)
    if twice is not None:
        problem = Problem(f"two folders are version {twice} of {models[0].name}", "Give them other versions.")
    return ImportedModel(
        name=models[0].name,
        versions=tuple(versions),
        remarks=tuple(dict.fromkeys(remark for model in models for remark in model.remarks)),
        problem=problem,
    )


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith(HIDDEN))


def _with_file(path: Path, name: str, depth: int) -> Iterator[Path]:
    """The folders that have a file of this name, from above down; what lies below one is its own business."""
    if (path / name).is_file():
        yield path
    elif depth:
        for child in _folders(path)[:MAX_FOLDERS]:
            yield from _with_file(child, name, depth - 1)


# MLServer's settings.json

_MAPPED = {
    "host": ("host", "net.host"),
    "http_port": ("port", "net.port"),
    "grpc_port": ("grpc_port", "net.grpc_port"),
    "server_name": ("v2_server_name", "openinference.v2_server_name"),
    "server_version": ("v2_server_version", "openinference.v2_server_version"),
}
_NEEDLESS = {
    "metrics_port": "metrics are at `/metrics` of the same port",
    "metrics_endpoint": "metrics are at `/metrics`",
    "metrics_dir": "metrics need no folder",
    "metrics_rest_server_prefix": "metrics have their own names here",
    "parallel_workers": "every model has processes of its own; `replicas` says how many",
    "parallel_workers_timeout": "a process that hangs is replaced",
    "extensions": "the extensions are those that the server has",
    "gzip_enabled": "bodies may be compressed",
    "use_structured_logging": "logs are JSON",
    "model_repository_root": "the folder is what is imported",
    "load_models_at_startup": "models are loaded at the start",
}


def _server_settings(path: Path) -> tuple[dict[str, Any], list[Remark]]:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise unreadable(path, str(error), "Correct the file.") from error
    settings: dict[str, Any] = {}
    remarks = []
    for key, value in document.items():
        if key in _MAPPED and isinstance(value, (str, int)):
            name, place = _MAPPED[key]
            settings[name] = value
            remarks.append(Remark(key, Fate.MAPPED, f"{place} = {value}"))
        elif key == "debug":
            settings |= {"log_level": "debug"} if value else {}
            remarks.append(Remark(key, Fate.MAPPED, "telemetry.log_level"))
        elif key in _NEEDLESS:
            remarks.append(Remark(key, Fate.NEEDLESS, _NEEDLESS[key]))
        else:
            remarks.append(Remark(key, Fate.UNSUPPORTED, "there is no setting of this meaning"))
    return settings, remarks
