"""Programs that run beside a framework: they load a runtime as a worker does, and ask the framework itself as well."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from framework_environments import run_in

SOURCE = Path(__file__).resolve().parents[2] / "src"
BEFORE = """
import importlib, json, sys
sys.path.insert(0, {source!r})
import numpy as np
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest

def opened(runtime, path, threads=1):
    module = importlib.import_module("salver_worker.runtimes." + runtime)
    return module.load(LoadRequest("m", 1, str(path), ".", threads=threads))

def rows(model, key="outputs"):
    return [[row["name"], row["datatype"], row["shape"]] for row in model.signature[key]]

def text(*values):
    array = np.empty(len(values), object)
    array[:] = [value.encode() for value in values]
    return array

def plain(value):
    if isinstance(value, bytes):
        return value.decode()
    return value.tolist()

def tell(**values):
    print("TOLD " + json.dumps(values, default=plain))

def failure(call):
    try:
        call()
    except (InputError, LoadFailure) as error:
        return [type(error).__name__, str(error), getattr(error, "fix", "")]
    return None

folder = sys.argv[1]
"""


def told_by(python: str, program: str, folder: Path, *arguments: str | Path) -> dict[str, Any]:
    """What the program hands to `tell`. `folder` is its own to write in."""
    code = BEFORE.format(source=str(SOURCE)) + textwrap.dedent(program)
    printed = run_in(python, code, folder, *arguments)
    lines = [line.removeprefix("TOLD ") for line in printed.splitlines() if line.startswith("TOLD ")]
    assert len(lines) == 1, printed
    told: dict[str, Any] = json.loads(lines[0])
    return told
