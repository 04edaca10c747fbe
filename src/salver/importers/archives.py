"""MXNet Model Server and TorchServe: a model store, a config.properties, a snapshot."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from salver.importers.base import (
    Fate,
    Imported,
    ImportedModel,
    ImportedVersion,
    Problem,
    Remark,
    Surroundings,
    unreadable,
)
from salver.importers.found import sources
from salver.models.manifest import Manifest
from salver.models.marfile import version_number
from salver.models.runwords import RunWords
from salver.processes.doors import KNOWN_NAMES
from salver.wire.torchserve.config import Configuration, configuration, with_environment
from salver.wire.torchserve.configkeys import KEYS, Server, key_named
from salver.wire.torchserve.properties import parse_properties, with_variables
from salver.wire.torchserve.startmodels import ModelTable, ModelWords, StartModel

SERVERS: Mapping[Server, str] = {"mms": "MXNet Model Server", "torchserve": "TorchServe"}
ENDINGS = (".mar", ".model", ".tgz", ".tar.gz", ".war")
CONFIG = "config.properties"

_ROW_KEYS = {"defaultVersion", "marName", "minWorkers", "batchSize", "maxBatchDelay", "responseTimeout"}
_HTTPS = re.compile(r"https://", re.IGNORECASE)


def fits(path: Path) -> bool:
    if path.is_file():
        return path.suffix in (".properties", ".cfg")
    return (path / CONFIG).is_file() or any(child.name.endswith(ENDINGS) for child in path.iterdir())


def read(path: Path, around: Surroundings) -> Imported:
    file = path if path.is_file() else path / CONFIG
    beside = file.parent
    properties = _properties(file, around) if file.is_file() else {}
    server = _server(properties)
    kept, refused = _followed(properties, server)
    found = configuration(with_environment(kept, around.environment, server), server, str(file))
    store = _store(kept, path, beside, around)
    wanted = found.models if file.is_file() and not found.is_all else _all(store)
    models = [_model(model, store, found, around) for model in wanted]
    return Imported(
        server=SERVERS[server],
        source=str(path),
        models=tuple(_merged(models)),
        settings={
            **found.settings,
            "model_store": str(store) if store else "",
            "doors": list(found.addresses.doors(KNOWN_NAMES)),
        },
        remarks=(*_remarks(properties, server), *_rows(properties), *refused),
    )


def _properties(file: Path, around: Surroundings) -> dict[str, str]:
    try:
        text = file.read_text("utf-8", "strict")
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(file, "it cannot be read as UTF-8", "Make it a readable text file.") from error
    return with_variables(parse_properties(text, str(file)), around.environment, str(file))


def _server(properties: Mapping[str, str]) -> Server:
    """TorchServe where a key is there that only it knows."""
    only = {key.name for key in KEYS if key.servers == ("torchserve",)}
    return "torchserve" if only & set(properties) else "mms"


def _followed(properties: Mapping[str, str], server: Server) -> tuple[dict[str, str], list[Remark]]:
    """Without the keys that a start would refuse: here they are told of, and the rest is read."""
    kept: dict[str, str] = {}
    remarks = []
    for name, value in properties.items():
        key = key_named(name, server)
        if key is not None and key.fate == "refused":
            continue
        if name.endswith("_address") and _HTTPS.match(value):
            text = "https needs a TLS proxy in front; the usual address is opened instead"
            remarks.append(Remark(f"{name} = {value}", Fate.UNSUPPORTED, text))
            continue
        kept[name] = value
    return kept, remarks


def _remarks(properties: Mapping[str, str], server: Server) -> Iterator[Remark]:
    for name in properties:
        key = key_named(name, server)
        if key is None:
            yield Remark(name, Fate.UNSUPPORTED, "the key is not known")
        elif key.fate == "used":
            yield Remark(name, Fate.MAPPED, f"{key.setting}: {key.told}" if key.setting else key.told)
        else:
            yield Remark(name, Fate.NEEDLESS if key.is_quiet else Fate.UNSUPPORTED, key.told)


def _rows(properties: Mapping[str, str]) -> Iterator[Remark]:
    """What the JSON of `models` and of a snapshot says that is no part of how a model is run here."""
    for option in ("models", "model_snapshot"):
        document = msgspec.json.decode(properties.get(option, "").strip() or "{}")
        models = document.get("models", {}) if option == "model_snapshot" else document
        for name, version, row in _each(models):
            for key in row:
                if key == "maxWorkers":
                    text = "the number of replicas is fixed; `salver scale` sets another"
                    yield Remark(f"{option} {name} {version}: {key}", Fate.NEEDLESS, text)
                elif key not in _ROW_KEYS:
                    yield Remark(f"{option} {name} {version}: {key}", Fate.UNSUPPORTED, "the key is not known")


def _each(models: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, versions in models.items():
        for version, row in versions.items():
            yield name, version, row


def _store(properties: Mapping[str, str], path: Path, beside: Path, around: Surroundings) -> Path | None:
    named = properties.get("model_store", "").strip()
    place = around.place(named, beside) if named else None
    return place or (path if path.is_dir() else beside)


def _all(store: Path | None) -> tuple[StartModel, ...]:
    names = [] if store is None else sorted(child.name for child in store.iterdir())
    return tuple(StartModel(location=name) for name in names if name.endswith(ENDINGS))


def _model(model: StartModel, store: Path | None, found: Configuration, around: Surroundings) -> ImportedModel:
    name = model.name or Path(model.location).name
    if model.is_remote:
        fix = "Fetch the archive into the model store and name the file."
        return ImportedModel(name=name, problem=Problem("it is fetched from an address without a digest", fix))
    if model.location.endswith(".war"):
        return ImportedModel(name=name, problem=Problem("it is a workflow", "Register it with the running server."))
    path = None if store is None else around.place(model.location, store)
    if path is None:
        return ImportedModel(name=name, problem=Problem(f"there is no {model.location} in {store}", "Copy it there."))
    served, problems = sources(path, around.scratch)
    archive = next((group[0] for group in served.values()), None)
    if archive is None:
        why = next(iter(problems.values()), Problem("it is no model archive", "Look at the file."))
        return ImportedModel(name=name, problem=why)
    version = model.version or archive.details.get("archive_version") or str(archive.version)
    name = model.name or archive.name
    words = _words(model.words, found.table, name, version)
    remarks = tuple(_told(words, found, version))
    number = version_number(version)
    manifest = _manifest(words, found)
    return ImportedModel(
        name=name,
        versions=(ImportedVersion(number=number, path=path, manifest=manifest),),
        labels={"stable": number} if model.is_default else {},
        remarks=remarks,
    )


def _words(own: ModelWords, table: ModelTable, name: str, version: str) -> ModelWords:
    return own if own != ModelWords() else table.get(name, {}).get(version, own)


def _manifest(words: ModelWords, found: Configuration) -> Manifest:
    return RunWords(
        replicas=words.workers or found.workers or None,
        max_batch_rows=words.batch_size,
        max_batch_delay_ms=None if words.max_batch_delay_ms is None else float(words.max_batch_delay_ms),
        deadline_s=None if not words.response_timeout_s else float(words.response_timeout_s),
    ).under(Manifest())


def _told(words: ModelWords, found: Configuration, version: str) -> Iterator[Remark]:
    yield Remark("version", Fate.MAPPED, f"{version} is version {version_number(version)}; versions are whole numbers")
    rows: dict[str, tuple[Any, str]] = {
        "minWorkers": (words.workers, "replicas"),
        "batchSize": (words.batch_size, "batching.max_batch_rows"),
        "maxBatchDelay": (words.max_batch_delay_ms, "batching.max_batch_delay_ms"),
        "responseTimeout": (words.response_timeout_s, "deadline_s"),
    }
    for option, (value, key) in rows.items():
        if value is not None:
            yield Remark(option, Fate.MAPPED, f"{key} = {value}")
    if not words.workers and not found.workers:
        text = "the original starts as many workers as there are CPUs; here one, and `salver scale` sets another number"
        yield Remark("default_workers_per_model", Fate.UNSUPPORTED, text)


def _merged(models: Sequence[ImportedModel]) -> Iterator[ImportedModel]:
    """Archives of one name are versions of one model."""
    names = dict.fromkeys(model.name for model in models)
    for name in names:
        group = [model for model in models if model.name == name]
        versions = tuple(version for model in group for version in model.versions)
        numbers = [version.number for version in versions]
        twice = next((number for number in numbers if numbers.count(number) > 1), None)
        problem = next((model.problem for model in group if model.problem), None)
        if twice is not None:
            problem = Problem(f"two archives are version {twice} of {name}", "Give one of them another version.")
        yield ImportedModel(
            name=name,
            versions=versions,
            labels={label: number for model in group for label, number in model.labels.items()},
            remarks=tuple(dict.fromkeys(remark for model in group for remark in model.remarks)),
            problem=problem,
        )
