"""From the flags and the config.properties of another server to settings and models of ours. Reads files only."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from salver.cli.serverflags import given_flags
from salver.errors import Code, StartupError
from salver.models.given import GivenModel, GivenModels
from salver.models.places import inside
from salver.models.runwords import RunWords
from salver.net.edge import is_loopback
from salver.processes.doors import KNOWN_NAMES, wanted_doors
from salver.settings import Resolution, SettingsFile, resolve, setting_named
from salver.wire.torchserve.config import ALL, Configuration, configuration, with_environment
from salver.wire.torchserve.configkeys import Server
from salver.wire.torchserve.properties import parse_properties, with_variables
from salver.wire.torchserve.sagemaker import SAGEMAKER_CONFIG
from salver.wire.torchserve.startmodels import ModelWords, StartModel, default_name, named_models

SAGEMAKER = "sagemaker"
DEFAULT_CONFIG = "config.properties"
CONFIG_VARIABLES: Mapping[Server, str] = {"mms": "MMS_CONFIG_FILE", "torchserve": "TS_CONFIG_FILE"}
ARCHIVE_ENDINGS = (".mar", ".model", ".tar.gz", ".tgz")
LOG_LEVELS = {"debug": "debug", "info": "info", "warning": "warning", "error": "error", "critical": "error"}
KEY_FILE = "key_file.json"


class FlagRefused(Exception):
    """The start-up line cannot be followed; the text is the original's, and its exit code 1."""


class StartLine(msgspec.Struct, frozen=True, kw_only=True):
    """All that the line means."""

    resolution: Resolution
    given: GivenModels
    notes: tuple[str, ...] = ()


def read_start_line(command: str, arguments: argparse.Namespace, environment: Mapping[str, str]) -> StartLine:
    """Raises FlagRefused, and StartupError for what the file says."""
    server: Server = "torchserve" if command == "torchserve" else "mms"
    flags = given_flags(command, arguments)
    for flag in flags:
        if flag.fate == "refused":
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"{flag.names[0]} cannot be followed: {flag.told}.",
                fix=f"Start without {flag.names[0]}.",
            )
    _check_files(arguments)
    name, properties = _properties(server, arguments, environment)
    found = configuration(properties, server, name)
    is_old = any(flag.is_old for flag in flags)
    values = {**found.settings, **_by_flags(server, arguments)}
    values["doors"] = _old_doors(arguments) if is_old else found.addresses.doors(KNOWN_NAMES)
    _check_store(server, arguments, values, is_old)
    given = _given(arguments, found, values["model_store"], is_old)
    resolved = _resolved(name, values, environment)
    notes = [f"{flag.names[0]} does nothing: {flag.told}" for flag in flags if flag.fate == "noted"]
    return StartLine(resolution=resolved, given=given, notes=(*notes, *found.notes, *_exposure_notes(resolved)))


# Files


def _check_files(arguments: argparse.Namespace) -> None:
    for key in ("log_config", "cpp_log_config"):
        path = getattr(arguments, key, None)
        if path is not None and not os.path.isfile(path):
            raise FlagRefused(f"--{key.replace('_', '-')} file not found: {os.path.realpath(path)}")
    for key in ("model_store", "workflow_store"):
        path = getattr(arguments, key, None)
        if path is not None and not os.path.isdir(path):
            raise FlagRefused(f"--{key.replace('_', '-')} directory not found: {path}")


def _properties(
    server: Server, arguments: argparse.Namespace, environment: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """What messages call the file, and what it holds; nothing where there is none."""
    flag = "mms_config" if server == "mms" else "ts_config"
    named = environment.get(CONFIG_VARIABLES[server]) or getattr(arguments, flag)
    if named == SAGEMAKER:
        text, name = SAGEMAKER_CONFIG, "the configuration for SageMaker"
    elif named is None and not os.path.isfile(DEFAULT_CONFIG):
        text, name = "", DEFAULT_CONFIG
    else:
        name = named or DEFAULT_CONFIG
        if not os.path.isfile(name):
            raise FlagRefused(f"--{flag.replace('_', '-')} file not found: {name}")
        text = _read(name)
    properties = with_variables(parse_properties(text, name), environment, name)
    return name, with_environment(properties, environment, server)


def _read(name: str) -> str:
    """Java reads such a file as Latin-1; one that is UTF-8 is taken as that."""
    try:
        raw = Path(name).read_bytes()
    except OSError as error:
        message = f"{name} cannot be read: {error.strerror}."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Make the file readable.") from error
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# Settings


def _by_flags(server: Server, arguments: argparse.Namespace) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if arguments.model_store is not None:
        values["model_store"] = arguments.model_store
    if server == "torchserve":
        if arguments.workflow_store is not None:
            values["workflow_store"] = arguments.workflow_store
        if arguments.disable_token_auth:
            values["token_authorization"] = False
        if arguments.enable_model_api:
            values["model_control"] = "explicit"
        values["token_file"] = str(Path.cwd() / KEY_FILE)
    level = getattr(arguments, "log_level", None)
    if level is not None:
        if level.lower() not in LOG_LEVELS:
            raise FlagRefused(f"--log-level must be one of {', '.join(LOG_LEVELS)}: {level}")
        values["log_level"] = LOG_LEVELS[level.lower()]
    return values


def _old_doors(arguments: argparse.Namespace) -> tuple[str, ...]:
    port = arguments.port or "8080"
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise FlagRefused(f"--port must be a port's number: {port}")
    return (f"mms@{arguments.host or 'localhost'}:{int(port)}",)


def _check_store(server: Server, arguments: argparse.Namespace, values: Mapping[str, Any], is_old: bool) -> None:
    if server == "torchserve" and not values["model_store"]:
        raise FlagRefused("Missing mandatory parameter --model-store")
    is_local = any(not model.is_remote and model.location != ALL for model in named_models(arguments.models or ()))
    if is_local and not values["model_store"] and not is_old:
        raise FlagRefused("--model-store is required to load model locally.")


def _resolved(name: str, values: Mapping[str, Any], environment: Mapping[str, str]) -> Resolution:
    """SALVER_ variables win over the file, which is told as the place of the others."""
    groups: dict[str, dict[str, Any]] = {}
    for key, value in values.items():
        setting = setting_named(key)
        assert setting is not None
        groups.setdefault(setting.group, {})[key] = list(value) if setting.is_list else value
    resolved = resolve(SettingsFile(name=name, values=groups), environment, {})
    exposed = [door for door in wanted_doors(resolved.settings.net) if not _is_of_this_machine(door.host)]
    if not exposed:
        return resolved
    net = replace(resolved.settings.net, insecure=True)
    return replace(resolved, settings=replace(resolved.settings, net=net))


def _is_of_this_machine(host: str) -> bool:
    return host in ("", "localhost") or is_loopback(host)


def _exposure_notes(resolved: Resolution) -> Iterator[str]:
    net, access = resolved.settings.net, resolved.settings.access
    hosts = {door.host for door in wanted_doors(net)}
    if all(map(_is_of_this_machine, hosts)):
        return
    yield "other machines reach this server by plain HTTP, because the start-up line names such an address"
    if access.anonymous == "loopback" and not resolved.settings.torchserve.token_authorization:
        yield "callers on other machines need a key; SALVER_ANONYMOUS=all lets them predict without one"


# Models


def _given(arguments: argparse.Namespace, found: Configuration, store: str, is_old: bool) -> GivenModels:
    folder = Path(store) if store else None
    models: Sequence[StartModel] = found.models
    is_all = found.is_all
    if arguments.models:
        is_all = arguments.models == [ALL] or arguments.models == [ALL.lower()]
        models = () if is_all else named_models(arguments.models)
    if is_all:
        models = _all(folder)
    workers = found.workers or len(os.sched_getaffinity(0))
    return GivenModels(
        models=tuple(_model(model, folder, is_old) for model in models),
        table={
            name: {version: _words(words) for version, words in versions.items()}
            for name, versions in found.table.items()
        },
        usual=RunWords(replicas=workers),
    )


def _all(folder: Path | None) -> list[StartModel]:
    """Every archive and every folder of the store; files of other kinds are none of the originals' business."""
    entries = sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    return [
        StartModel(location=path.name)
        for path in entries
        if not path.name.startswith(".") and (path.is_dir() or path.name.endswith(ARCHIVE_ENDINGS))
    ]


def _model(model: StartModel, folder: Path | None, is_old: bool) -> GivenModel:
    location = model.location
    given = GivenModel(
        told=location,
        place=None,
        name=model.name,
        file_stem=default_name(location.rstrip("/").rpartition("/")[2]),
        is_default=model.is_default,
        words=_words(model.words),
    )
    if model.is_remote:
        why = f"{location} is fetched only with its digest, and not at the start."
        fix = "Put the file into the model store, or register it later as `remote:path@sha256:<digest>`."
        return replace(given, why_not=why, fix=fix)
    place = inside(folder, location) if folder is not None else None
    if is_old and folder is None and os.path.exists(location):
        place = Path(location)
    why = f"Model not found in model store: {location}"
    if location.startswith("/") or ".." in location.split("/"):
        why = f"Relative path is not allowed in url: {location}"
    return replace(given, place=place, why_not=why, fix="Name a file or a folder that lies in the model store.")


def _words(words: ModelWords) -> RunWords:
    return RunWords(
        replicas=words.workers or None,
        max_batch_rows=words.batch_size or None,
        max_batch_delay_ms=None if words.max_batch_delay_ms is None else float(words.max_batch_delay_ms),
        deadline_s=float(words.response_timeout_s) if words.response_timeout_s else None,
    )
