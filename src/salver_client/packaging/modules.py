"""Where modules come from: the standard library, an installed package, or a file of the user's own."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

from salver_client.packaging.base import Draft, failed

LEFT_OUT = (".", "__pycache__")
STANDARD = sys.stdlib_module_names | {"salver_worker"}
"""What every model's process has."""


def add_modules(draft: Draft, names: Iterable[str]) -> None:
    """Have the modules where the package runs: own ones are copied, with what they import, others are noted."""
    waiting = [name.partition(".")[0] for name in names]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen or name in STANDARD or name in sys.builtin_module_names:
            continue
        seen.add(name)
        own = own_module(name)
        if own is None:
            draft.modules.add(name)
        else:
            copy(own, draft.folder)
            waiting.extend(each for file in python_files(own) for each in imported_names(file.read_text("utf-8")))


def own_module(name: str) -> Path | None:
    """The file or folder of a module that belongs to no installed package."""
    spec = None if name == "__main__" else _spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        place = Path(next(iter(spec.submodule_search_locations)))
    elif spec.origin is not None and spec.origin.endswith(".py"):
        place = Path(spec.origin)
    else:
        return None
    return None if any(place.is_relative_to(folder) for folder in _installed_folders()) else place


def pinned(modules: Iterable[str]) -> tuple[list[str], list[str]]:
    """The packages that have the modules, each in the version that is installed here; and modules without one."""
    known = importlib.metadata.packages_distributions()
    found: set[str] = set()
    unknown = []
    for module in sorted(set(modules)):
        owners = known.get(module, [])
        found |= {f"{_plain(owner)}=={importlib.metadata.version(owner).partition('+')[0]}" for owner in owners}
        if not owners:
            unknown.append(module)
    return sorted(found), unknown


def _plain(package: str) -> str:
    """Its name as indexes write it, however it was installed."""
    return re.sub(r"[-_.]+", "-", package).lower()


def copy(path: Path, folder: Path) -> None:
    """A file or a folder into the package, by its own name. Raises SalverClientError."""
    target = folder / path.name
    if path.is_dir():
        ignore = shutil.ignore_patterns(*(f"{start}*" for start in LEFT_OUT))
        shutil.copytree(path, target, ignore=ignore, dirs_exist_ok=True)
    elif path.is_file():
        if target.exists() and target.read_bytes() != path.read_bytes():
            raise failed(f"Two different files would be called {path.name}.", "Rename one of them.")
        shutil.copyfile(path, target)
    else:
        raise failed(f"There is no file or folder {path}.", "Correct what `code` names.")


def python_files(path: Path) -> list[Path]:
    """A file by itself, or all Python files below a folder."""
    if path.is_file():
        return [path] if path.suffix == ".py" else []
    found = sorted(path.rglob("*.py"))
    return [file for file in found if not any(part.startswith(LEFT_OUT) for part in file.relative_to(path).parts)]


def imported_names(source: str) -> set[str]:
    """The first parts of all names that are imported, but for what only a type checker sees."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    return {name.partition(".")[0] for name in _names(tree)}


def _names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.level == 0 and node.module:
            yield node.module
    elif isinstance(node, ast.If) and ast.unparse(node.test).rpartition(".")[2] == "TYPE_CHECKING":
        for other in node.orelse:
            yield from _names(other)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _names(child)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _installed_folders() -> set[str]:
    return {sysconfig.get_path(name) for name in ("purelib", "platlib", "stdlib", "platstdlib")}
