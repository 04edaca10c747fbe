"""Finds the function that a Python file serves."""

from __future__ import annotations

import inspect
import os
from types import ModuleType
from typing import Any, Callable, NamedTuple, Tuple

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.code import own_members


class Target(NamedTuple):
    """What is served: a function, the object it belongs to (None for a plain function), and the declared SIGNATURE."""

    name: str
    instance: Any
    function: Callable[..., Any]
    signature: Any


def find_file(request: LoadRequest) -> Tuple[str, str]:
    """The file, and the name in it ("" where none is given)."""
    handler = request.manifest.get("handler")
    if handler:
        file, _, attribute = str(handler).partition(":")
        path = os.path.join(request.folder, file)
    else:
        file, _, attribute = request.path.partition(".py:")
        path = file + ".py" if attribute else request.path
    return os.path.abspath(path), str(attribute or request.manifest.get("function") or "")


def find_target(module: ModuleType, attribute: str) -> Target:
    """The named function, class or object; without a name `predict`, else the only one that could be meant.

    A class is made without arguments; its `load`, where it has one, is called once. Raises LoadFailure.
    """
    name = attribute or _only_name(module)
    if not hasattr(module, name):
        raise LoadFailure("there is no %s in %s" % (name, _file_name(module)))
    target = getattr(module, name)
    instance = target() if isinstance(target, type) else None if inspect.isroutine(target) else target
    load = getattr(instance, "load", None)
    if callable(load):
        load()
    function = target if instance is None else _method(instance)
    if function is None:
        raise LoadFailure("%s is neither a function nor has it a method `predict`" % name)
    declared = getattr(instance, "SIGNATURE", getattr(module, "SIGNATURE", None))
    return Target(name, instance, function, declared)


def _method(instance: Any) -> Any:
    """`predict`, else `__call__`, as a bound method; None when the object has neither."""
    return getattr(instance, "predict", None) or (instance.__call__ if callable(instance) else None)


def _only_name(module: ModuleType) -> str:
    if hasattr(module, "predict"):
        return "predict"
    members = own_members(module)
    functions = [name for name, value in members.items() if inspect.isfunction(value)]
    models = [name for name, value in members.items() if hasattr(value, "predict")]
    for candidates in (functions, models):
        if len(candidates) == 1:
            return candidates[0]
    raise LoadFailure(
        "%s has no `predict`, and not exactly one function, or class with `predict`, that could be meant; it has: %s"
        % (_file_name(module), ", ".join(members) or "none"),
        fix="Name the one to serve, as in app.py:my_function.",
    )


def _file_name(module: ModuleType) -> str:
    return os.path.basename(str(module.__file__))
