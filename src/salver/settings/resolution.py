"""Which value of a setting wins, and where it came from. Pure: it is given what the sources hold."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from salver.errors import Code, StartupError
from salver.settings.catalogue import VARIABLE_PREFIX, Setting, Settings, catalogue, setting_named
from salver.settings.file import SettingsFile
from salver.settings.values import checked, from_text, from_texts

OTHER_VARIABLES = ("SALVER_KEY", "SALVER_URL")
"""Variables that commands read and that are not settings of the server."""
TEST_PREFIX = "SALVER_TEST_"


class Source(enum.Enum):
    """Where a value may come from, weakest first."""

    DEFAULT = "default"
    FILE = "file"
    VARIABLE = "variable"
    FLAG = "flag"


class Origin(msgspec.Struct, frozen=True):
    """Where one value came from. `where` names the place: `salver.toml line 4`, `SALVER_PORT`, `--port`."""

    source: Source
    where: str


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in force, the origin of each by its name, and one sentence for each thing that looks mistaken."""

    settings: Settings
    origins: dict[str, Origin]
    warnings: tuple[str, ...] = ()

    def value(self, setting: Setting) -> Any:
        return getattr(getattr(self.settings, setting.group), setting.name)


class Candidate(msgspec.Struct, frozen=True):
    """A value that a source has for a setting, before it is read."""

    origin: Origin
    raw: Any
    read: Callable[[Any, Any], Any]


def resolve(file: SettingsFile, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Resolution:
    """Flags win over `SALVER_` variables, those over the file, and the file over the defaults.

    `flags` holds, by the setting's name, only what was given: a text, a tuple of texts for a list, a bool for a switch.
    An empty variable counts as not set. Raises StartupError(SETTINGS_INVALID) naming the source and what it expects;
    an unknown key of the file is refused, an unknown `SALVER_` variable is a warning, since other programs may own it.
    """
    _refuse_unknown_keys(file)
    groups: dict[str, dict[str, Any]] = {}
    origins: dict[str, Origin] = {}
    for setting in catalogue():
        origin, value = _winner(setting, file, environment, flags)
        groups.setdefault(setting.group, {})[setting.name] = value
        origins[setting.name] = origin
    return Resolution(
        settings=Settings(
            **{group.name: group.type(**groups[group.name]) for group in msgspec.structs.fields(Settings)}
        ),
        origins=origins,
        warnings=tuple(_unknown_variables(environment)),
    )


def _winner(
    setting: Setting, file: SettingsFile, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> tuple[Origin, Any]:
    """Every value given is read, so that a mistake in one that loses is told as well."""
    winner: tuple[Origin, Any] = (Origin(Source.DEFAULT, "default"), setting.default)
    for candidate in _candidates(setting, file, environment, flags):
        winner = candidate.origin, _read(setting, candidate)
    return winner


def _candidates(
    setting: Setting, file: SettingsFile, environment: Mapping[str, str], flags: Mapping[str, Any]
) -> Iterator[Candidate]:
    """What the sources hold for a setting, weakest first."""
    table = file.values.get(setting.group, {})
    if setting.name in table:
        yield Candidate(Origin(Source.FILE, file.where(setting.group, setting.name)), table[setting.name], checked)
    if environment.get(setting.variable):
        yield Candidate(Origin(Source.VARIABLE, setting.variable), environment[setting.variable], from_text)
    if setting.name in flags:
        yield Candidate(Origin(Source.FLAG, setting.flag), flags[setting.name], _from_flag)


def _from_flag(type_: Any, given: Any) -> Any:
    match given:
        case tuple():
            return from_texts(type_, given)
        case str():
            return from_text(type_, given)
    return checked(type_, given)


def _read(setting: Setting, candidate: Candidate) -> Any:
    try:
        return candidate.read(setting.type, candidate.raw)
    except ValueError:
        given = ",".join(candidate.raw) if isinstance(candidate.raw, tuple) else candidate.raw
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"{candidate.origin.where}: {setting.name} must be {setting.expected}, not {given!r}.",
            fix=f"{setting.doc} The default is {setting.default_text or 'empty'}.",
        ) from None


def _refuse_unknown_keys(file: SettingsFile) -> None:
    groups = {setting.group for setting in catalogue()}
    for table, keys in file.values.items():
        if table not in groups:
            raise _unknown(file, (table,), groups)
        if not isinstance(keys, dict):
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"{file.where(table)}: {table} is a table of settings, not a value.",
                fix=f"Write [{table}] on a line of its own and the settings under it.",
            )
        names = {setting.name for setting in catalogue() if setting.group == table}
        for key in keys:
            if key not in names:
                raise _unknown(file, (table, key), names)


def _unknown(file: SettingsFile, keys: tuple[str, ...], known: set[str]) -> StartupError:
    name = keys[-1]
    setting = setting_named(name)
    if setting is not None:
        fix = f"It belongs under [{setting.group}]."
    else:
        fix = _closest(name, known) or f"Known are: {', '.join(sorted(known))}."
    place = f"[{keys[0]}] has no setting" if len(keys) > 1 else "there is no table or setting"
    return StartupError(Code.SETTINGS_INVALID, f"{file.where(*keys)}: {place} {name!r}.", fix=fix)


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = {setting.variable for setting in catalogue()} | set(OTHER_VARIABLES)
    for name in sorted(environment):
        if name.startswith(VARIABLE_PREFIX) and not name.startswith(TEST_PREFIX) and name not in known:
            closest = _closest(name, known)
            yield f"{name} is set, and no setting has that name." + (f" {closest}" if closest else "")


def _closest(name: str, known: set[str]) -> str | None:
    import difflib

    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return f"Did you mean {matches[0]}?" if matches else None
