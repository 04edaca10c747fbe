"""A function or class becomes a Python file: the one it stands in, or its own lines where that is the running program.

::

    a module of an installed package      a file that imports it, and the package as a requirement
    a module of yours                     the module's file, or the folder of its package, and what these import
    __main__, a notebook, a function      its lines alone, with the functions, imports and plain values that they use
    inside another
"""

from __future__ import annotations

import ast
import builtins
import inspect
import symtable
import sys
import textwrap
import types
from collections.abc import Mapping
from typing import Any

from salver_client.packaging.base import Draft, failed
from salver_client.packaging.modules import add_modules, imported_names, own_module

FILE_NAME = "model.py"
MAX_VALUE_CHARACTERS = 100_000
_FUTURE = 0x1000000  # CO_FUTURE_ANNOTATIONS


def add_function(draft: Draft, target: Any) -> None:
    """Write the function or class into the package. Raises SalverClientError when it cannot stand alone."""
    name = target.__qualname__
    if name.rpartition(".")[2] == "<lambda>":
        raise failed("A lambda has no name to be served by.", "Write it as a function with `def`.")
    module = sys.modules.get(target.__module__)
    is_found = module is not None and getattr(module, name, None) is target
    if not is_found or target.__module__ == "__main__" or not getattr(module, "__file__", None):
        _add_lines(draft, target)
        return
    top, _, inner = target.__module__.partition(".")
    own = own_module(top)
    add_modules(draft, [top])
    if own is not None and own.is_file() and not inner:
        draft.handler = f"{own.name}:{name}"
        return
    (draft.folder / FILE_NAME).write_text(f"from {target.__module__} import {name}\n", encoding="utf-8")
    draft.handler = f"{FILE_NAME}:{name}"


def _add_lines(draft: Draft, target: Any) -> None:
    lines = _Lines()
    lines.add(target)
    text = lines.text(is_future=_has_future(target))
    (draft.folder / FILE_NAME).write_text(text, encoding="utf-8")
    draft.handler = f"{FILE_NAME}:{target.__name__}"
    draft.notes.append(f"{target.__name__} was taken out of the running program, with what it uses: see {FILE_NAME}")
    add_modules(draft, imported_names(text))


def _has_future(target: Any) -> bool:
    """Whether annotations are not evaluated where it was written."""
    functions = (
        [target] if inspect.isfunction(target) else [each for _, each in inspect.getmembers(target, inspect.isfunction)]
    )
    return any(each.__code__.co_flags & _FUTURE for each in functions)


class _Lines:
    """Imports, values and definitions, each before what uses it."""

    def __init__(self) -> None:
        self._imports: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._definitions: dict[str, str] = {}
        self._begun: set[str] = set()

    def add(self, target: Any) -> None:
        """A function or class, after all that it uses."""
        name = target.__name__
        if name in self._begun:
            return
        self._begun.add(name)
        source = _source_of(target)
        around = _names_around(target)
        for used in sorted(_used_names(source) - {name}):
            if used in around:
                self._use(used, around[used], user=name)
            elif not hasattr(builtins, used):
                raise failed(
                    f"{name} uses the name {used}, which is not there.", "Define it before, or correct the name."
                )
        self._definitions[name] = source

    def text(self, *, is_future: bool) -> str:
        future = ["from __future__ import annotations\n\n"] if is_future else []
        imports = [f"{line}\n" for line in sorted(self._imports.values())]
        values = [f"{name} = {value}\n" for name, value in self._values.items()]
        definitions = [f"\n\n{source}" for source in self._definitions.values()]
        return "".join((*future, *imports, "\n" if imports and values else "", *values, *definitions))

    def _use(self, name: str, value: Any, user: str) -> None:
        if isinstance(value, types.ModuleType):
            self._imports[name] = f"import {value.__name__} as {name}" if value.__name__ != name else f"import {name}"
        elif (plain := _plain_text(value)) is not None:
            self._values[name] = plain
        elif _is_importable(value):
            own = value.__qualname__
            alias = "" if own == name else f" as {name}"
            self._imports[name] = f"from {value.__module__} import {own}{alias}"
        elif isinstance(value, type) or inspect.isfunction(value):
            if value.__name__ != name:
                raise failed(f"{user} calls {value.__name__} by the name {name}.", "Use its own name.")
            self.add(value)
        elif (special := _special(value)) is not None:
            self._imports[name] = special if special.endswith(f" {name}") else f"{special} as {name}"
        else:
            raise failed(
                f"{user} uses {name}, a {type(value).__name__} of this program, and its lines do not bring that.",
                "Package that object itself, or a class whose `load` opens a file that `code` names, or move the "
                "function to a file of its own that makes what it uses.",
            )


def _source_of(target: Any) -> str:
    try:
        source = textwrap.dedent(inspect.getsource(target))
        ast.parse(source)
    except (OSError, TypeError, SyntaxError) as error:
        raise failed(
            f"The lines of {target.__name__} cannot be read: {error}.",
            "Put it into a Python file and import it from there.",
        ) from error
    return source if source.endswith("\n") else f"{source}\n"


def _names_around(target: Any) -> Mapping[str, Any]:
    """What the names mean that are not its own: of the functions around it, and of its module."""
    functions = (
        [target] if inspect.isfunction(target) else [each for _, each in inspect.getmembers(target, inspect.isfunction)]
    )
    around = dict(vars(sys.modules[target.__module__])) if target.__module__ in sys.modules else {}
    for function in functions:
        if function.__module__ == target.__module__:
            around |= function.__globals__
    for function in functions:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                around[name] = cell.cell_contents
    return around


def _used_names(source: str) -> set[str]:
    """The names that these lines take from outside of them."""
    found: set[str] = set()
    waiting = [symtable.symtable(source, "<model>", "exec")]
    while waiting:
        table = waiting.pop()
        waiting.extend(table.get_children())
        is_module = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or (is_module and not symbol.is_assigned())):
                found.add(symbol.get_name())
    return found


def _plain_text(value: Any) -> str | None:
    """The value as Python writes it, where it is nothing but numbers, texts and collections of them."""
    text = repr(value)
    if len(text) > MAX_VALUE_CHARACTERS or not isinstance(
        value, (type(None), bool, int, float, str, bytes, list, tuple, dict, set)
    ):
        return None
    try:
        return text if ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError):
        return None


def _is_importable(value: Any) -> bool:
    """Whether another program finds it under its own name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__" or "." in name:
        return False
    there = sys.modules.get(module)
    return getattr(there, name, None) is value and (hasattr(there, "__file__") or module in sys.builtin_module_names)


def _special(value: Any) -> str | None:
    """`from typing import Any` for what has no name of the usual kind."""
    module, name = getattr(value, "__module__", None), getattr(value, "_name", None)
    there = sys.modules.get(module) if isinstance(module, str) else None
    return f"from {module} import {name}" if isinstance(name, str) and getattr(there, name, None) is value else None
