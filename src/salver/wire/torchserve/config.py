"""What a config.properties of either server means here: settings, addresses, models of the start. Pure.

From the two servers' ``ConfigManager``; ``configkeys.py`` has what becomes of each key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from salver.errors import Code, StartupError
from salver.wire.torchserve.configaddresses import Addresses
from salver.wire.torchserve.configkeys import Server, key_named
from salver.wire.torchserve.startmodels import ModelTable, StartModel, model_table, named_models, snapshot_models

ALL = "ALL"
MIB = 1024 * 1024
DEFAULTS: Mapping[str, str] = {
    "default_response_timeout": "120",
    "unregister_model_timeout": "120",
    "default_startup_timeout": "120",
    "job_queue_size": "100",
    "max_request_size": "6553500",
}
"""The originals' own, where ours differ or might come to differ."""
PREFIXES: Mapping[Server, str] = {"mms": "MMS_", "torchserve": "TS_"}
OPEN_INFERENCE = "ts_open_inference_protocol"
METRICS_MODES = {"log": "log", "prometheus": "prometheus", "legacy": "legacy"}
ENVELOPES = ("none", "body", "json", "kserve", "kservev2")


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """All that the file says, in our words."""

    settings: Mapping[str, Any]
    """Values by the names of settings."""
    addresses: Addresses
    workers: int = 0
    """Of each model of the start; 0: as many as there are CPUs."""
    is_all: bool = False
    """Whether every archive of the model store is loaded at the start."""
    models: tuple[StartModel, ...] = ()
    table: ModelTable = {}
    """What `models` says of models, however they come to be loaded."""
    notes: tuple[str, ...] = ()
    """A sentence for each key that sets nothing and that somebody may miss."""


def with_environment(properties: Mapping[str, str], environment: Mapping[str, str], server: Server) -> dict[str, str]:
    """The properties, and with `enable_envvars_config` the variables `MMS_<KEY>` or `TS_<KEY>` over them.

    `TS_OPEN_INFERENCE_PROTOCOL` counts without it: `oip` is its only word.
    """
    found = dict(properties)
    if _is_true(properties.get("enable_envvars_config", "")):
        prefix = PREFIXES[server]
        names = {
            key.removeprefix(prefix).lower(): value for key, value in environment.items() if key.startswith(prefix)
        }
        found |= {name: value for name, value in names.items() if key_named(name, server) is not None}
    protocol = environment.get(OPEN_INFERENCE.upper())
    if server == "torchserve" and protocol is not None:
        found[OPEN_INFERENCE] = "true" if protocol == "oip" else "false"
    return found


def configuration(properties: Mapping[str, str], server: Server, name: str) -> Configuration:
    """What the properties mean; `name` is what messages call their file. Raises StartupError(SETTINGS_INVALID)."""
    values = _Values({**DEFAULTS, **properties}, name)
    _refuse(properties, server, name)
    load = values.text("load_models").strip()
    table = model_table(values.text("models"), f"{name}: models") if server == "torchserve" else {}
    snapshot = values.text("model_snapshot") if server == "torchserve" else ""
    is_all = load.upper() == ALL
    models = () if is_all else named_models([part for part in load.split(",") if part.strip()])
    return Configuration(
        settings=dict(_settings(values, server)),
        addresses=Addresses.of(properties, server, name),
        workers=values.number("default_workers_per_model"),
        is_all=is_all and not snapshot,
        models=snapshot_models(snapshot, f"{name}: model_snapshot") if snapshot else models,
        table=table,
        notes=tuple(_notes(properties, server, name)),
    )


def _settings(values: _Values, server: Server) -> Iterator[tuple[str, Any]]:
    seconds = values.number("default_response_timeout_seconds", -1) if server == "mms" else -1
    yield "dialect", server
    yield "deadline_s", float(seconds if seconds > 0 else values.positive("default_response_timeout"))
    yield "max_queue_rows", values.positive("job_queue_size")
    yield "max_body_mb", values.positive("max_request_size") / MIB
    yield "version_drain_s", float(values.number("unregister_model_timeout"))
    yield "load_timeout_s", float(values.positive("default_startup_timeout"))
    yield "default_workers_per_model", values.number("default_workers_per_model")
    yield "decode_input_request", values.switch("decode_input_request", True)
    yield "default_service_handler", values.text("default_service_handler").strip()
    yield "model_store", values.text("model_store").strip()
    if values.switch("debug", False):
        yield "log_level", "debug"
    if server == "torchserve":
        yield from _torchserve_settings(values)


def _torchserve_settings(values: _Values) -> Iterator[tuple[str, Any]]:
    yield "workflow_store", values.text("workflow_store").strip()
    yield "service_envelope", values.one_of("service_envelope", ENVELOPES)
    yield "handler_metrics", values.one_of("metrics_mode", tuple(METRICS_MODES))
    yield "metrics_config", values.text("metrics_config").strip()
    yield OPEN_INFERENCE, values.switch(OPEN_INFERENCE, False)
    yield "token_authorization", not values.switch("disable_token_authorization", False)
    yield "token_expiration_min", float(values.positive("token_expiration_min", 60))
    yield "model_control", "explicit" if values.switch("enable_model_api", False) else "none"


def _refuse(properties: Mapping[str, str], server: Server, name: str) -> None:
    for property_name, value in properties.items():
        key = key_named(property_name, server)
        if key is not None and key.fate == "refused" and value.strip().lower() not in ("", "false"):
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"{name}: {property_name} cannot be followed: {key.told}.",
                fix=f"Remove {property_name} from {name}.",
            )


def _notes(properties: Mapping[str, str], server: Server, name: str) -> Iterator[str]:
    for property_name in properties:
        key = key_named(property_name, server)
        if key is None:
            yield f"{name}: {property_name} is no key that this server knows; it sets nothing"
        elif key.fate == "noted" and not key.is_quiet:
            yield f"{name}: {property_name} sets nothing: {key.told}"


class _Values:
    """The properties, read as what they must be."""

    def __init__(self, properties: Mapping[str, str], name: str) -> None:
        self._properties = properties
        self._name = name

    def text(self, key: str) -> str:
        return self._properties.get(key, "")

    def switch(self, key: str, default: bool) -> bool:
        """As Java reads one: `true` in any case, and everything else is false."""
        return _is_true(self._properties[key]) if key in self._properties else default

    def number(self, key: str, default: int = 0) -> int:
        text = self._properties.get(key, str(default)).strip()
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            raise self._refused(key, "a whole number", text)
        number = int(text)
        if number < 0 and key != "default_response_timeout_seconds":
            raise self._refused(key, "0 or more", text)
        return number

    def positive(self, key: str, default: int = 0) -> int:
        number = self.number(key, default)
        if number < 1:
            raise self._refused(key, "1 or more", str(number))
        return number

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        text = self._properties.get(key, "").strip().lower() or choices[0]
        if text not in choices:
            raise self._refused(key, f"one of {', '.join(choices)}", text)
        return text

    def _refused(self, key: str, expected: str, text: str) -> StartupError:
        return StartupError(
            Code.SETTINGS_INVALID,
            f"{self._name}: {key} must be {expected}, not {text!r}.",
            fix=f"Correct {key}, or remove it to have the default.",
        )


def _is_true(text: str) -> bool:
    return text.strip().lower() == "true"
