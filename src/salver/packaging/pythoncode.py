"""What Python files import: modules that lie beside them, and packages that must be installed. Nothing is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

HIDDEN = (".", "__pycache__")
WORKER = "salver_worker"
"""What every model's process has without any package."""


class Imports(msgspec.Struct, frozen=True, kw_only=True):
    """What a file needs besides the standard library."""

    beside: tuple[Path, ...] = ()
    """Files and folders of its own folder, also those that these need in turn."""
    foreign: tuple[str, ...] = ()
    """The first parts of other modules' names."""


def imports_of(files: Iterable[Path], home: Path) -> Imports:
    """What the files need, of which those beside are looked for in `home`."""
    beside: dict[str, Path] = {}
    foreign: set[str] = set()
    waiting = list(files)
    while waiting:
        for name in imported_names(waiting.pop().read_bytes()):
            found = module_in(home, name)
            if found is None:
                foreign.add(name)
            elif name not in beside:
                beside[name] = found
                waiting.extend(python_files(found))
    standard = sys.stdlib_module_names | {WORKER}
    return Imports(beside=tuple(beside.values()), foreign=tuple(sorted(foreign - standard)))


def module_in(folder: Path, name: str) -> Path | None:
    """The file or the folder that `import NAME` finds there."""
    file, package = folder / f"{name}.py", folder / name
    if package.is_dir() and any(package.glob("*.py")):
        return package
    return file if file.is_file() else None


def python_files(path: Path) -> list[Path]:
    """A file by itself, or all Python files below a folder."""
    if path.is_file():
        return [path] if path.suffix == ".py" else []
    found = sorted(path.rglob("*.py"))
    return [file for file in found if not any(part.startswith(HIDDEN) for part in file.relative_to(path).parts)]


def imported_names(source: bytes) -> set[str]:
    """The first parts of all names that are imported, also inside functions; relative imports stay inside.

    Nothing of what only a type checker sees, and nothing of a file that this Python cannot parse.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {name.partition(".")[0] for name in _names(tree)}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module:
            yield node.module
    elif isinstance(node, ast.If) and _is_type_checking(node.test):
        for other in node.orelse:
            yield from _names(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"
