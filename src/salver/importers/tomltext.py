"""Manifests and settings as TOML text. Pure: only what is set is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from salver.models.manifest import Manifest
from salver.settings.catalogue import setting_named


class Tables(list[dict[str, Any]]):
    """Sections of one name, which stand one after the other."""


def manifest_text(manifest: Manifest, note: str) -> str:
    """A model.toml; empty when the manifest says nothing."""
    values = _set(manifest)
    if not values:
        return ""
    plain = {key: value for key, value in values.items() if not isinstance(value, (dict, Tables))}
    lines = [f"# {note}", *_pairs(plain)]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += ["", f"[{key}]", *_pairs(value)]
        elif isinstance(value, Tables):
            for each in value:
                lines += ["", f"[[{key}]]", *_pairs(each)]
    return "\n".join(lines) + "\n"


def settings_text(values: Mapping[str, Any], note: str) -> tuple[str, tuple[str, ...]]:
    """A salver.toml with the settings that are not as they are anyway, and the names that are no settings here."""
    groups: dict[str, dict[str, Any]] = {}
    unknown = []
    for name, value in values.items():
        setting = setting_named(name)
        if setting is None:
            unknown.append(name)
        elif _plain(value) != _plain(setting.default):
            groups.setdefault(setting.group, {})[name] = value
    lines = [f"# {note}"]
    for group, pairs in groups.items():
        lines += ["", f"[{group}]", *_pairs(pairs)]
    return "\n".join(lines) + "\n", tuple(unknown)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, list)) else value


def _set(value: msgspec.Struct) -> dict[str, Any]:
    """The fields that are not as they are by default, in a section's case as a table of its own."""
    found: dict[str, Any] = {}
    for field in msgspec.structs.fields(value):
        own = getattr(value, field.name)
        if isinstance(own, msgspec.Struct):
            inner = _set(own)
            found |= {field.name: inner} if inner else {}
        elif own and isinstance(own, tuple) and isinstance(own[0], msgspec.Struct):
            found[field.name] = Tables(_set(each) for each in own)
        elif own != (field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()):
            found[field.name] = own
    return found


def _pairs(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        yield f"{key} = {_text(value)}"


def _text(value: Any) -> str:
    """A TOML value: JSON's texts, numbers, booleans and arrays are TOML's too."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_text(key)} = {_text(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
