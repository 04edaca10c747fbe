"""Which functions a workflow's handler file has: it is read, never run, in the server. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from salver.errors import Code, LoadError


def functions_of(source: bytes, place: str) -> frozenset[str] | None:
    """The names that the file defines, imports or sets; None where only running it would tell.

    Raises LoadError when it is no Python.
    """
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        fix = "Correct the file and pack the workflow again."
        raise LoadError(
            Code.MANIFEST_INVALID, f"{place}, the workflow's handler, is no Python: {error}", fix=fix
        ) from error
    names = set(_names(statements))
    return None if "*" in names else frozenset(names)


def _names(statements: list[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        match statement:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.ImportFrom(names=aliases):
                yield from (alias.asname or alias.name for alias in aliases)
            case ast.If() | ast.Try():
                yield "*"
