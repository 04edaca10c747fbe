"""What one argument of `salver serve` means."""

from __future__ import annotations

import msgspec

from salver.models.artifact import split_function
from salver.models.naming import is_name

ECHO = "echo"
"""The argument that serves the built-in echo model, when nothing in the folder is called so."""


class Argument(msgspec.Struct, frozen=True):
    """A path, the function of a Python file, and the name that the model shall have."""

    path: str
    function: str | None = None
    name: str | None = None


def readings(text: str) -> tuple[Argument, ...]:
    """What `text` may mean, the likeliest first; which one holds is for who can see whether the path exists.

    `name=path` and `app.py:predict` are told from files whose own names have such signs in them.
    """
    plain = _with_function(text, None)
    name, equals, rest = text.partition("=")
    if not (equals and rest and is_name(name)):
        return (Argument(text), *plain)
    return (Argument(text), *plain, Argument(rest, None, name), *_with_function(rest, name))


def _with_function(text: str, name: str | None) -> tuple[Argument, ...]:
    path, function = split_function(text)
    return () if function is None else (Argument(path, function, name),)
