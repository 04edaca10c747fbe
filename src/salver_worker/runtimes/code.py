"""Opens Python files that belong to a model.

They are read, whatever Python compiled of them before: its cache tells files apart by size and second, so that one that
is replaced at once would answer as the one before; and nothing is written into a model's folder.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType
from typing import Any, Dict, List, Tuple

from salver_worker.failures import LoadFailure


class FreshLoader(SourceFileLoader):
    def path_stats(self, path: Any) -> Dict[str, Any]:
        """Without them nothing that was compiled is used or kept."""
        raise OSError("not told, so that the source is read: %s" % path)


LOADERS: Tuple[Tuple[Any, List[str]], ...] = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (FreshLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)


def _read_fresh(folder: str) -> None:
    """Modules that lie in this folder itself; packages below it may be large, and are cached as ever."""

    def finder(path: str) -> FileFinder:
        if path != folder:
            raise ImportError("only for %s" % folder)
        return FileFinder(path, *LOADERS)

    sys.path_hooks.insert(0, finder)
    sys.path_importer_cache.pop(folder, None)


def enter_folder(folder: str) -> None:
    """Make a model's folder the working directory, and the first place where its imports are looked for."""
    os.chdir(folder)
    _read_fresh(folder)
    sys.path.insert(0, folder)


def let_import(folder: str) -> None:
    """Let what lies in a model's folder be imported, after what is installed."""
    if folder not in sys.path:
        _read_fresh(folder)
        sys.path.append(folder)


def load_module(path: str) -> ModuleType:
    """The module in this file, run once, known under the file's name unless a module of that name is there already."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem not in sys.modules else "served_" + stem
    loader = FreshLoader(name, path) if path.endswith(tuple(SOURCE_SUFFIXES)) else None
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise LoadFailure("%s is not a Python file" % os.path.basename(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def own_members(module: ModuleType) -> Dict[str, Any]:
    """The public functions and classes that a module itself defines, by name."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", None) == module.__name__
    }
