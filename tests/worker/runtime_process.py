"""Runs a program where a framework is, with the worker's package in reach, and gives the document that it prints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from framework_environments import run_in

SOURCE = Path(__file__).resolve().parents[2] / "src"
HEAD = """
import sys
sys.path.insert(0, {source!r})
import json
import numpy as np
from pathlib import Path
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest

def request(path, threads=1, batch_rows=8):
    return LoadRequest("m", 1, str(path), str(path), threads=threads, batch_rows=batch_rows)

def refusal(load, path):
    try:
        load(request(path))
    except LoadFailure as failure:
        return [failure.message, failure.fix]

out = {{}}
"""


def told_by(python: str, code: str, *arguments: str | Path) -> dict[str, Any]:
    """`code` fills `out`; it has `request`, `refusal` and what they need."""
    program = f"{HEAD.format(source=str(SOURCE))}\n{code}\nprint(json.dumps(out))\n"
    document: dict[str, Any] = json.loads(run_in(python, program, *arguments).splitlines()[-1])
    return document


def real_data() -> Path:
    """The folder of real models; skips where there is none."""
    named = os.environ.get("SALVER_TEST_DATA")
    data = Path(named) if named else SOURCE.parent.parent / "shared" / "data"
    if not data.is_dir():
        pytest.skip("no test data: set SALVER_TEST_DATA to the folder that holds it")
    return data
