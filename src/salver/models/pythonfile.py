"""Which function of a Python file is meant, told from its source; the file is never run here."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from salver.errors import Code, LoadError
from salver.models.manifestwords import closest

DEFAULT_FUNCTION = "predict"
MAX_SOURCE_BYTES = 1024 * 1024

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_CALLABLE = (*_FUNCTION, ast.ClassDef)


def pick_function(source: bytes, file: str, wanted: str | None) -> str | None:
    """`wanted`, else `predict`, else the only public function; None where the worker must see for itself.

    Raises LoadError(FORMAT_UNKNOWN) when the file cannot have the wanted one. A file that this Python cannot parse is
    not judged: its worker may run another.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return wanted
    defined = tuple(dict.fromkeys(_defined_names(body)))
    if wanted is not None:
        _check(wanted, defined, file)
        return wanted
    if DEFAULT_FUNCTION in defined:
        return DEFAULT_FUNCTION
    functions = [node.name for node in body if isinstance(node, _FUNCTION) and not node.name.startswith("_")]
    return functions[0] if len(functions) == 1 else None


def _defined_names(body: list[ast.stmt]) -> Iterator[str]:
    """Every name that the module may have once it has run; `*` when it imports names that are not told."""
    for node in _outer_nodes(body):
        if isinstance(node, _CALLABLE):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _outer_nodes(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes, in `if` and `try` too, but nothing inside of functions and classes."""
    waiting: list[ast.AST] = [*body]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _CALLABLE):
            waiting.extend(ast.iter_child_nodes(node))


def _check(wanted: str, defined: tuple[str, ...], file: str) -> None:
    if wanted in defined or "*" in defined:
        return
    match = closest(wanted, defined)
    fix = f"Did you mean `{match}`?" if match else f"Name one that it has: {', '.join(defined) or 'there is none'}."
    raise LoadError(Code.FORMAT_UNKNOWN, f"{file} has no function `{wanted}`", fix=fix)
