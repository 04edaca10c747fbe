"""TensorFlow Serving: a model_config_file, or the base path of one model."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

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
from salver.models.configfile import read_file
from salver.models.naming import choose_name
from salver.models.policy import policy_versions
from salver.models.servingfiles import read_batching, read_monitoring
from salver.models.textproto import MAX_CHARACTERS, UINT32, Message, TextProtoError, parse
from salver.models.versions import numbered
from salver.types import PolicyKind, VersionPolicy

SERVER = "TensorFlow Serving"
LISTS = ("model_config_list", "custom_model_config")
SAVED_MODEL = ("saved_model.pb", "saved_model.pbtxt")
START_BYTES = 65536
"""Of a file, to see whether it is one of these."""
POLL_S = 1.0
"""How often TensorFlow Serving looks for new versions unless it is told otherwise."""
BATCHING, MONITORING = "batching_parameters_file", "monitoring_config_file"
"""Flags of the command that name files."""

_KNOWN = (
    "name", "base_path", "model_type", "model_platform", "model_version_policy", "version_labels", "logging_config",
)  # fmt: skip
_POLICIES = ("latest", "all", "specific")


def fits(path: Path) -> bool:
    if path.is_dir():
        names = numbered(child.name for child in path.iterdir() if child.is_dir()).values()
        return any((path / name / file).is_file() for name in names for file in SAVED_MODEL)
    if path.suffix == ".properties":
        return False
    with path.open("rb") as file:
        start = file.read(START_BYTES)
    return any(name.encode() in start for name in LISTS)


def read(path: Path, around: Surroundings) -> Imported:
    if path.is_dir():
        return _imported(path, [_model(path.resolve().name, path, VersionPolicy(), {}, (), around)], around)
    raw = path.read_bytes()[: MAX_CHARACTERS + 1]
    try:
        return _imported(path, list(_models(parse(raw.decode()), path, around)), around)
    except (TextProtoError, UnicodeDecodeError) as error:
        raise unreadable(path, str(error), "Correct the file; it is protobuf's text format.") from error


def _imported(path: Path, models: list[ImportedModel], around: Surroundings) -> Imported:
    text = "the command's flags stand in no file; `salver tensorflow-model-server` takes them as they are"
    settings, remarks = _files(around.files)
    return Imported(
        server=SERVER,
        source=str(path),
        models=tuple(models),
        settings={"compat": ["tfserving"], "watch_s": POLL_S, **settings},
        remarks=(
            Remark("ports", Fate.MAPPED, "net.compat = tfserving opens 8501, for gRPC 8500"),
            Remark("file_system_poll_wait_seconds", Fate.MAPPED, f"models.watch_s = {POLL_S:g}, as its default is"),
            *remarks,
            Remark("other flags", Fate.UNSUPPORTED, text),
        ),
    )


def _files(files: Mapping[str, Path]) -> tuple[dict[str, Any], list[Remark]]:
    """What the files say that flags name, as settings. Raises LoadError(SETTINGS_INVALID) with the line."""
    settings: dict[str, Any] = {}
    remarks = []
    if BATCHING in files:
        place = str(files[BATCHING])
        batching = read_batching(read_file(place), place)
        words = {
            "max_batch_rows": batching.max_batch_rows,
            "max_batch_delay_ms": batching.max_batch_delay_ms,
            "max_queue_rows": batching.max_queue_rows,
        }
        settings |= words
        remarks += [Remark(BATCHING, Fate.MAPPED, f"serving.{name} = {value:g}") for name, value in words.items()]
        remarks += [_noted(note) for note in batching.notes]
    if MONITORING in files:
        place = str(files[MONITORING])
        address = read_monitoring(read_file(place), place)
        settings["tfs_monitoring_path"] = address
        text = f"tfserving.tfs_monitoring_path = {address}" if address else "metrics at the REST port are off"
        remarks.append(Remark(MONITORING, Fate.MAPPED, text))
    return settings, remarks


def _noted(note: str) -> Remark:
    """What a parameters file asks for and does not get, or gets in another way."""
    option, _, text = note.partition(": ")
    return Remark(f"{BATCHING} {option}", Fate.UNSUPPORTED, text)


def _models(document: Message, path: Path, around: Surroundings) -> Iterator[ImportedModel]:
    for field in document.beyond(LISTS):
        raise TextProtoError(field.place, f"there is no field {field.name}")
    if document.has("custom_model_config"):
        raise unreadable(path, "custom_model_config is code of its own", "List the models in a model_config_list.")
    models = document.message("model_config_list") or Message()
    for field in models.beyond(("config",)):
        raise TextProtoError(field.place, f"model_config_list has no field {field.name}")
    for config in models.messages("config"):
        yield _listed(config, path, around)


def _listed(config: Message, path: Path, around: Surroundings) -> ImportedModel:
    for field in config.beyond(_KNOWN):
        raise TextProtoError(field.place, f"ModelConfig has no field {field.name}")
    name, base = config.string("name"), config.string("base_path")
    policy = _policy(config.message("model_version_policy"))
    labels = {key: entry.integer("value") for key, entry in config.entries("version_labels").items()}
    remarks = tuple(_remarks(config, policy))
    place = around.place(base, path.parent) if base else None
    if place is None:
        fix = "Say where the paths of the file lie on this machine, with --root."
        problem = Problem(f"base_path {base!r} is not on this machine", fix)
        return ImportedModel(name=name, policy=policy, labels=labels, remarks=remarks, problem=problem)
    return _model(name, place, policy, labels, remarks, around)


def _model(
    name: str,
    place: Path,
    policy: VersionPolicy,
    labels: Mapping[str, int],
    remarks: tuple[Remark, ...],
    around: Surroundings,
) -> ImportedModel:
    """The versions that the policy picks, and those with a label."""
    own, note = choose_name(None, name, place.name)
    there = numbered(child.name for child in place.iterdir() if child.is_dir()) if place.is_dir() else {}
    picked = sorted({*policy_versions(there, policy), *(number for number in labels.values() if number in there)})
    told = [_label(label, number, there) for label, number in labels.items()]
    return ImportedModel(
        name=own,
        versions=tuple(
            ImportedVersion(number=number, path=place / there[number], problem=_problem(place / there[number], around))
            for number in picked
        ),
        policy=None if policy == VersionPolicy() else policy,
        labels={label: number for label, number in labels.items() if number in there},
        remarks=(*remarks, *told, *(() if note is None else (Remark("name", Fate.MAPPED, note),))),
        problem=None if picked else Problem(f"{place} has no numbered version that is wanted", "Look at base_path."),
    )


def _problem(version: Path, around: Surroundings) -> Problem | None:
    """Why one version is not served; None: it is."""
    found, problems = sources(version, around.scratch)
    return None if found else next(iter(problems.values()))


def _policy(message: Message | None) -> VersionPolicy:
    if message is None:
        return VersionPolicy()
    for field in message.beyond(_POLICIES):
        raise TextProtoError(field.place, f"model_version_policy has no field {field.name}")
    if message.has("all"):
        return VersionPolicy(kind=PolicyKind.ALL)
    if specific := message.message("specific"):
        return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=specific.integers("versions"))
    latest = message.message("latest") or Message()
    return VersionPolicy(count=latest.integer("num_versions", within=UINT32) or 1)


def _label(label: str, number: int, there: Container[int]) -> Remark:
    if number in there:
        return Remark(f"version_labels {label}", Fate.MAPPED, f"the label {label} on version {number}")
    return Remark(f"version_labels {label}", Fate.UNSUPPORTED, f"there is no version {number}")


def _remarks(config: Message, policy: VersionPolicy) -> Iterator[Remark]:
    yield Remark("name", Fate.MAPPED, "the model's name")
    yield Remark("base_path", Fate.MAPPED, "the folder that holds its versions")
    if config.has("model_version_policy"):
        yield Remark("model_version_policy", Fate.MAPPED, f"policy `{policy.kind.value}`")
    for option in ("model_platform", "model_type"):
        if config.has(option):
            yield Remark(option, Fate.NEEDLESS, "a model's format is recognised by its files")
    if config.has("logging_config"):
        yield Remark("logging_config", Fate.UNSUPPORTED, "requests and answers are not recorded")
