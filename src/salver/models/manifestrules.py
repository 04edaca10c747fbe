"""What a model.toml must keep to beyond the types of its keys."""

from __future__ import annotations

import datetime as dt
import itertools
import math
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from salver.models.manifest import ExampleSection, Manifest, Step
from salver.models.manifestwords import Problem, closest, in_words
from salver.models.naming import NAME_RULE, is_name
from salver.models.tomllines import KeyPath
from salver.replicas.environments.pythons import is_range
from salver_worker.runtimes.specs import EXECUTABLE, SPECS

MAX_DEPTH = 32

_COMMAND = re.compile(r"[A-Za-z0-9._-]+")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def first_raw_problem(document: dict[str, Any]) -> Problem | None:
    """What is judged before the types are: what JSON lacks or is nested too deep, and what types could not point at."""
    return next(itertools.chain(_not_plain(document, ()), _not_text(document.get("environment"))), None)


def first_problem(manifest: Manifest) -> Problem | None:
    """The first rule that the manifest breaks."""
    return next(_problems(manifest), None)


def _problems(manifest: Manifest) -> Iterator[Problem]:
    if manifest.name is not None and not is_name(manifest.name):
        yield Problem(("name",), f"`name`: a model's name is {NAME_RULE}")
    yield from _runtime_problems(manifest)
    yield from _command_problems(manifest)
    yield from _outside(("artifact",), manifest.artifact)
    yield from _outside(("handler",), manifest.handler)
    yield from _endless(("deadline_s",), manifest.deadline_s)
    yield from _environment_problems(manifest)
    yield from _endless(("batching", "max_batch_delay_ms"), manifest.batching.max_batch_delay_ms)
    yield from _endless(("batching", "latency_objective_ms"), manifest.batching.latency_objective_ms)
    yield from _section_problems("inputs", [(section.name, section.convert) for section in manifest.inputs])
    yield from _section_problems("outputs", [(section.name, section.convert) for section in manifest.outputs])
    if manifest.example is not None:
        yield from _example_problems(manifest.example)


def _runtime_problems(manifest: Manifest) -> Iterator[Problem]:
    known = [spec.name for spec in SPECS]
    name = manifest.runtime_name
    is_table = isinstance(manifest.runtime, dict)
    if name is not None and name not in known:
        match = closest(name, known)
        meant = f"; did you mean `{match}`?" if match else ""
        text = f"`runtime`: there is no runtime `{name}`{meant}"
        yield Problem(("runtime", "name") if is_table else ("runtime",), text, f"Use one of {', '.join(known)}.")


def _command_problems(manifest: Manifest) -> Iterator[Problem]:
    if manifest.runtime_name == EXECUTABLE.name and not manifest.command:
        text = "the runtime `executable` needs a `command`: the program that answers, and its arguments"
        yield Problem(("runtime",), text, 'Add one, as command = ["./serve"].')
    if not manifest.command:
        return
    if manifest.runtime_name not in (None, EXECUTABLE.name):
        text = f"`command` is of the runtime `executable`, and the runtime here is `{manifest.runtime_name}`"
        yield Problem(("command",), text, "Leave out one of the two.")
    if any("\0" in word for word in manifest.command):
        yield Problem(("command",), "`command`: an argument cannot hold a zero byte")
    program = manifest.command[0]
    if not program or ("/" in program and not program.startswith("/")):
        yield from _outside(("command", 0), program)


def _environment_problems(manifest: Manifest) -> Iterator[Problem]:
    python = manifest.environment.python
    if python is not None and not (python.startswith(("/", "~")) or _COMMAND.fullmatch(python) or is_range(python)):
        text = "`environment.python` must be a version, an interpreter's absolute path, or the name of a command"
        yield Problem(("environment", "python"), text)
    wanted = manifest.environment.requirements
    if isinstance(wanted, str):
        yield from _outside(("environment", "requirements"), wanted)
    yield from _outside(("environment", "lock"), manifest.environment.lock)
    if wanted is not None and manifest.environment.lock is not None:
        yield Problem(("environment", "lock"), "`environment` has both requirements and a lock, and one is enough")
    for name, value in manifest.environment.variables.items():
        path = ("environment", "variables", name)
        if not _VARIABLE_NAME.fullmatch(name):
            yield Problem(path, f"{in_words(path)}: a variable's name is letters, digits and underscores")
        if "\0" in value:
            yield Problem(path, f"{in_words(path)}: a variable's value cannot hold a zero byte")


def _section_problems(kind: str, sections: list[tuple[str | None, tuple[Step, ...]]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, (name, steps) in enumerate(sections):
        if name in seen:
            yield Problem((kind, index, "name"), f"two of the {kind} are named `{name}`")
        if name is not None:
            seen.add(name)
        for number, step in enumerate(steps):
            yield from _step_problems((kind, index, "convert", number), step)


def _step_problems(path: KeyPath, step: Step) -> Iterator[Problem]:
    if isinstance(step, dict) and len(step) != 1:
        found = ", ".join(step) or "none"
        fix = "Write each step as its name, or as { name = parameters }."
        yield Problem(path, f"{in_words(path)}: a step is a table with one key, this one has {found}", fix)


def _example_problems(example: ExampleSection) -> Iterator[Problem]:
    yield from _outside(("example", "file"), example.file)
    yield from _endless(("example", "tolerance"), example.tolerance)
    if example.file is not None:
        if example != ExampleSection(file=example.file):
            yield Problem(("example", "file"), "`example.file` has the whole example, and other keys stand beside it")
        return
    yield from example_inputs_problems(example)


def example_inputs_problems(example: ExampleSection) -> Iterator[Problem]:
    """What is wrong with an example's inputs, wherever they were written."""
    if not example.inputs:
        yield Problem(("example", "inputs"), "`example.inputs` names no input")
    for name, value in example.inputs.items():
        if not isinstance(value, dict):
            continue
        path = ("example", "inputs", name)
        if set(value) != {"file"} or not isinstance(value["file"], str):
            yield Problem(path, f'{in_words(path)} must be values, or a file as {{ file = "kitten.jpg" }}')
        else:
            yield from _outside((*path, "file"), value["file"])


def _not_text(environment: Any) -> Iterator[Problem]:
    variables = environment.get("variables") if isinstance(environment, dict) else None
    for name, value in variables.items() if isinstance(variables, dict) else ():
        if not isinstance(value, str):
            path = ("environment", "variables", name)
            yield Problem(path, f"{in_words(path)}: expected text; write the value in quotes")


def _outside(path: KeyPath, value: str | None) -> Iterator[Problem]:
    """A file that a manifest names lies in the model's own folder."""
    if value is None:
        return
    parts = PurePosixPath(value).parts
    if not value or value.startswith("/") or "\\" in value or "\0" in value or ".." in parts:
        yield Problem(path, f"{in_words(path)} must name a file of the model's folder, with `/` between folders")


def _endless(path: KeyPath, value: float | None) -> Iterator[Problem]:
    if value is not None and not math.isfinite(value):
        yield Problem(path, f"{in_words(path)} must be a finite number")


def _not_plain(value: Any, path: KeyPath) -> Iterator[Problem]:
    if len(path) > MAX_DEPTH:
        yield Problem(path, f"values are nested deeper than {MAX_DEPTH} levels")
    elif isinstance(value, (dt.date, dt.time)):
        yield Problem(path, f"{in_words(path)} is a date or a time; write it as text, in quotes")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _not_plain(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _not_plain(inner, (*path, index))
