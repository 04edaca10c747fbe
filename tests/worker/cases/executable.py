"""The example program in C: a sum of two weighted numbers."""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from runtime_cases import Case, ask_tensors, refused, tensor_rows

SOURCES = Path(__file__).resolve().parents[3] / "examples" / "executable"


def build(folder: Path, _python: str) -> Path:
    return build_program(folder) / "weights.txt"


def build_program(folder: Path) -> Path:
    """The example, compiled as its Makefile says."""
    if shutil.which("gcc") is None:
        pytest.skip("NO GCC: install it to test a program that is a worker")
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("serve"))
    flags = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-pthread")
    sources = sorted(path.name for path in folder.glob("*.c"))
    subprocess.run(["gcc", *flags, "-o", "serve", *sources], cwd=folder, check=True, timeout=100)
    return folder


def command(folder: Path) -> Sequence[str]:
    return (str(folder / "serve"),)


CASE = Case(
    build,
    ask_tensors("FP64"),
    tensor_rows,
    {
        **refused("FP64", "BYTES"),
        "shape": (ask_tensors("FP64", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP64", value=math.inf), "MODEL_ERROR"),
    },
    command=command,
)
