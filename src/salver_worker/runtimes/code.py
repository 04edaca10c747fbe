"""Opens Python files that belong to a model."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType
from typing import Any, Dict

from salver_worker.failures import LoadFailure


def enter_folder(folder: str) -> None:
    """Make a model's folder the working directory, and the first place where its imports are looked for."""
    os.chdir(folder)
    sys.path.insert(0, folder)


def let_import(folder: str) -> None:
    """Let what lies in a model's folder be imported, after what is installed."""
    if folder not in sys.path:
        sys.path.append(folder)


def load_module(path: str) -> ModuleType:
    """The module in this file, run once, known under the file's name unless a module of that name is there already."""
    stem = os.path.splitext(os.path.basename(path))[0]
    name = stem if stem not in sys.modules else "served_" + stem
    spec = importlib.util.spec_from_file_location(name, path)
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
