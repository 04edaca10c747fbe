"""Triton's ModelConfig as plain values, from its text format or from JSON. Pure.

Both give the same form, which is that of Triton's `/config`: names as in model_config.proto, numbers as numbers, enums
by name, and only what is set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from salver.models.foreign.tritonfields import ENUMS, FIELDS, ONE_OF, FieldType
from salver.models.textproto import INT32, INT64, UINT32, UINT64, Message, TextProtoError, parse

ROOT = "ModelConfig"
RANGES = {"int32": INT32, "uint32": UINT32, "int64": INT64, "uint64": UINT64}

_NUMBER = re.compile(r"-?[0-9]{1,20}")


def read_text(text: str) -> dict[str, Any]:
    """A config.pbtxt's values. Raises TextProtoError, which names line and column."""
    return _plain(parse(text), ROOT)


def read_document(document: Any) -> dict[str, Any]:
    """The values of a config that is JSON, as a load request's override is. Raises ValueError that names the field."""
    return _checked(document, ROOT, ROOT)


# From text


def _plain(message: Message, name: str) -> dict[str, Any]:
    known = FIELDS[name]
    for field in message.beyond(known):
        raise TextProtoError(field.place, f"{name} has no field {field.name}")
    chosen = [field for field in message.fields if field.name in ONE_OF.get(name, ())]
    for field in chosen[1:]:
        if field.name != chosen[0].name:
            raise TextProtoError(field.place, f"{field.name} cannot stand beside {chosen[0].name}")
    return {field: _read(message, field, kind) for field, kind in known.items() if message.has(field)}


def _read(message: Message, field: str, kind: FieldType) -> Any:
    if kind.is_map:
        return {_key(entry, kind): _one(entry, "value", kind) for entry in message.messages(field)}
    if not kind.is_repeated:
        return _one(message, field, kind)
    if kind.is_message:
        return [_plain(inner, kind.name) for inner in message.messages(field)]
    if kind.name in RANGES:
        return list(message.integers(field, within=RANGES[kind.name]))
    if kind.name == "string":
        return list(message.strings(field))
    return list(message.booleans(field) if kind.name == "bool" else message.numbers(field))


def _key(entry: Message, kind: FieldType) -> str:
    return str(entry.integer("key", within=UINT64)) if kind.has_number_keys else entry.string("key")


def _one(message: Message, field: str, kind: FieldType) -> Any:
    if kind.is_message:
        return _plain(message.message(field) or Message((), message.place), kind.name)
    if kind.is_enum:
        return message.enum(field, ENUMS[kind.name])
    if kind.name in RANGES:
        return message.integer(field, within=RANGES[kind.name])
    if kind.name == "string":
        return message.string(field)
    return message.boolean(field) if kind.name == "bool" else message.number(field)


# From JSON


def _checked(value: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be an object")
    known = FIELDS[name]
    values = {_snake(key): inner for key, inner in value.items() if inner is not None}
    for key in values:
        if key not in known:
            raise ValueError(f"{where} has no field {key}")
    chosen = [key for key in values if key in ONE_OF.get(name, ())]
    if len(chosen) > 1:
        raise ValueError(f"{where}: {chosen[1]} cannot stand beside {chosen[0]}")
    return {key: _field(inner, known[key], f"{where}.{key}") for key, inner in values.items()}


def _snake(key: str) -> str:
    """Protobuf's JSON takes `maxBatchSize` for `max_batch_size`."""
    return re.sub(r"[A-Z]", lambda match: f"_{match.group().lower()}", key)


def _field(value: Any, kind: FieldType, where: str) -> Any:
    if kind.is_map:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where} must be an object")
        return {key: _value(inner, kind, f"{where}.{key}") for key, inner in value.items()}
    if kind.is_repeated:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be an array")
        return [_value(inner, kind, f"{where}[{index}]") for index, inner in enumerate(value)]
    return _value(value, kind, where)


def _value(value: Any, kind: FieldType, where: str) -> Any:
    if kind.is_message:
        return _checked(value, kind.name, where)
    if kind.is_enum:
        return _enum(value, ENUMS[kind.name], where)
    if kind.name in RANGES:
        return _whole(value, RANGES[kind.name], where)
    if kind.name in ("string", "bool"):
        if type(value) is not (str if kind.name == "string" else bool):
            raise ValueError(f"{where} must be a {kind.name}")
        return value
    if type(value) not in (int, float):
        raise ValueError(f"{where} must be a number")
    return float(value)


def _enum(value: Any, names: Mapping[str, int], where: str) -> str:
    name = next((name for name, number in names.items() if value == number and type(value) is int), value)
    if not isinstance(name, str) or name not in names:
        raise ValueError(f"{where} must be one of {', '.join(names)}")
    return name


def _whole(value: Any, within: range, where: str) -> int:
    """Protobuf's JSON writes 64-bit numbers as strings, and takes any number so."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or value not in within:
        raise ValueError(f"{where} must be a whole number between {within.start} and {within.stop - 1}")
    return value
