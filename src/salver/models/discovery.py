"""Finds the models that the arguments of `salver serve` mean. ``folders.py`` has the rules for folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import salver_worker.runtimes
from salver.errors import Code, StartupError
from salver.models.arguments import ECHO, Argument, readings
from salver.models.artifact import find_artifact
from salver.models.folders import discover_folder, manifest_in
from salver.models.formats import recognise
from salver.models.found import Found, source_of
from salver.models.manifestwords import closest
from salver.models.naming import stem
from salver.models.recognising.base import Recognition
from salver.models.sources import Discovery, ModelSource, joined


def discover(arguments: Sequence[str], artifacts: Path, *, has_all_versions: bool = False) -> Discovery:
    """What the arguments mean, archives unpacked below `artifacts`. Reads the disk: not for an event loop.

    Of a model's numbered folders the highest is taken, or all of them with `has_all_versions`.

    Raises StartupError for what is not there or would be served twice, and LoadError when an argument means one model
    that cannot be served, or a folder without any that can. In a folder of models one bad model spoils no other: it is
    among the failures.
    """
    return joined([_discover(_existing(text), artifacts, None if has_all_versions else 1) for text in arguments])


def place_of(argument: str) -> Path:
    """The path that an argument means. Raises StartupError(SETTINGS_INVALID) when there is none."""
    return _path(_existing(argument))


def _existing(text: str) -> Argument:
    """The first reading of an argument that is on the disk. Raises StartupError(SETTINGS_INVALID)."""
    choices = readings(text)
    for argument in choices:
        if argument.path and os.path.exists(_path(argument)):  # Path.exists raises where a folder above is closed
            return argument
    builtin = next((argument for argument in choices if argument.path == ECHO), None)
    if builtin is None:
        raise _missing(choices[-1])
    return builtin


def _path(argument: Argument) -> Path:
    return Path(argument.path).expanduser()


def _discover(argument: Argument, artifacts: Path, count: int | None) -> Discovery:
    path = _path(argument)
    if not path.exists():
        return Discovery(models=(_echo(argument, artifacts),))
    if not path.is_dir():
        return Discovery(models=(_file(argument, path, artifacts),))
    found = discover_folder(path, argument.name, artifacts, count)
    names = {model.name for model in found.models}
    if argument.name is not None and names != {argument.name}:
        message = (
            f"{path} is a folder of models ({', '.join(sorted(names))}); it cannot be named {argument.name} itself"
        )
        raise StartupError(Code.SETTINGS_INVALID, message, fix=f"Give {path} without a name, or one model of it.")
    return found


def _echo(argument: Argument, artifacts: Path) -> ModelSource:
    """The built-in model; its file is the one of its runtime, whose content does not matter to it."""
    artifact = Path(salver_worker.runtimes.__file__).with_name("echo.py")
    recognition = Recognition(runtime="echo", artifact=artifact, trust="data", label="echo, built in")
    found = Found(recognition=recognition, path=Path("built in"), path_name=ECHO, name=argument.name)
    return source_of(found, artifacts)


def _file(argument: Argument, path: Path, artifacts: Path) -> ModelSource:
    """A file; the model.toml beside it counts if the file is the model that it is about."""
    file = manifest_in(path.parent)
    about = None if file is None else find_artifact(path.parent, file)
    notes: tuple[str, ...] = ()
    if file is not None and about is not None and about.artifact != path:
        notes = (f"{file.path} is about {about.artifact.name} and is not used",)
        file = about = None
    if about is None or argument.function is not None:
        about = recognise(path, argument.function)
    found = Found(recognition=about, path=path, path_name=stem(path.name), name=argument.name, file=file, notes=notes)
    return source_of(found, artifacts)


def _missing(argument: Argument) -> StartupError:
    path = _path(argument)
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    file, _, function = path.name.partition(":")
    if function and f"{file}.py" in names:
        fix = f"Did you mean {path.with_name(file)}.py:{function}?"
    elif match := closest(path.name, names):
        fix = f"Did you mean {path.with_name(match)}?"
    elif names:
        fix = f"Check the path; {path.parent} is there and has {len(names)} entries, none of a name like this."
    else:
        fix = f"Check the path; there is no folder {path.parent} either."
    return StartupError(Code.SETTINGS_INVALID, f"there is no file or folder {path}", fix=fix)
