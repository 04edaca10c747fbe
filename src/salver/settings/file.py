"""salver.toml: read once, as plain values with the line of each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from salver.errors import Code, StartupError
from salver.models.tomllines import KeyPath, key_lines

FILE_NAME = "salver.toml"


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a settings file holds. `lines` has the line of each table, by (table,), and of each key, by (table, key)."""

    name: str = FILE_NAME
    values: Mapping[str, Any] = {}
    lines: Mapping[KeyPath, int] = {}

    def where(self, *keys: str) -> str:
        """The place of a table or key, for a message."""
        line = self.lines.get(keys)
        return f"{self.name} line {line}" if line else self.name


def read_settings_file(path: Path | None, folder: Path) -> SettingsFile:
    """The file at `path`, or `salver.toml` in `folder` where there is one. Raises StartupError(SETTINGS_INVALID)."""
    try:
        text = (path or folder / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        if path is None:
            return SettingsFile()
        raise StartupError(
            Code.SETTINGS_INVALID, f"There is no settings file {path}.", fix="Correct the path after --config."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"The settings file {path or FILE_NAME} cannot be read: {reason}.",
            fix="Make it a readable TOML file, or name another with --config.",
        ) from error
    return parse_settings_file(text, str(path or FILE_NAME))


def parse_settings_file(text: str, name: str) -> SettingsFile:
    """The values and lines of a settings file's text. Raises StartupError(SETTINGS_INVALID)."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"{name} is not valid TOML: {error}.",
            fix="Correct that line; texts need quotes, and a table starts with its name in brackets.",
        ) from error
    return SettingsFile(name=name, values=values, lines=key_lines(text))
