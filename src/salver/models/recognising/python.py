"""Python files, and the echo of tests."""

from __future__ import annotations

from salver.models.pythonfile import MAX_SOURCE_BYTES, pick_function
from salver.models.recognising.base import FileView, Recognition


def recognise_echo(view: FileView, _function: str | None) -> Recognition | None:
    if view.ending != ".echo":
        return None
    return Recognition(runtime="echo", artifact=view.path, trust="data", label="echo")


def recognise_python(view: FileView, function: str | None) -> Recognition | None:
    if view.ending != ".py":
        return None
    with view.path.open("rb") as file:
        name = pick_function(file.read(MAX_SOURCE_BYTES), view.path.name, function)
    label = "Python file" if name is None else f"Python function {name}"
    return Recognition(runtime="function", artifact=view.path, trust="code", label=label, function=name)
