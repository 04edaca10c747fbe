"""The models that the conformance suite asks, one file for each runtime in the folder `cases`, with a `CASE`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

SOURCE = Path(__file__).resolve().parents[2] / "src"
Ask = Callable[[Any, Any, int], Any]


class Case(NamedTuple):
    """One runtime: how to make a model of it, how to ask for rows, and questions that it must refuse.

    `build(folder, python)` makes a small model in the folder, in `python` where it needs the framework, and gives its
    path. `requirements` are of the environment in which the worker runs: packages as pip has them; none for the
    interpreter of the tests. `series` is the Python of that environment, the tests' own where it is empty. The input of
    tensor runtimes is called `input`; `slab_values` are two rows of it. `command` gives, of the folder, the program
    that is the worker; nothing for the Python worker. `says` is a pattern of lines that the library writes into the log
    whatever it is told. `many` rows are of so much data that
    to keep them of each of some hundred requests shows in the memory; 64 where a row takes long, and is kept as more
    than its data. Each case refuses `poison`, which fails inside of the library; `variables` are of the worker's
    environment, and `fault` is a call that is made to raise (`faults/sitecustomize.py`) where no question can.
    """

    build: Callable[[Path, str], Path]
    ask: Ask
    rows: Callable[[Any], int]
    refused: dict[str, tuple[Ask, str]]
    requirements: tuple[str, ...] = ()
    series: str = ""
    slab_values: Any = ((1, 2), (3, 4))
    input: str = "x"
    command: Callable[[Path], Sequence[str]] = lambda folder: ()
    says: str = ""
    many: int = 4096
    variables: Mapping[str, str] = MappingProxyType({})
    fault: str = ""


def ask_tensors(datatype: str, columns: int = 2, name: str = "x", value: Any = 1.0) -> Ask:
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full((rows, columns), value), datatype))


def ask_column(datatype: str, name: str = "x", value: Any = 1.0) -> Ask:
    """Of a model whose inputs are columns: one value for each row."""
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full(rows, value), datatype))


def ask_bodies(data: bytes) -> Ask:
    return lambda link, driver, rows: link.ask(*[[("body", "application/json", data)]] * rows)


def tensor_rows(answer: Any) -> int:
    counts = {array.shape[0] for array in answer.arrays.values()}
    assert len(counts) == 1
    return int(counts.pop())


def body_rows(answer: Any) -> int:
    return len(answer.responses)


def refused(right: str, wrong: str) -> dict[str, tuple[Ask, str]]:
    """The questions that every tensor runtime refuses: `wrong` is a datatype that `right` cannot be made of."""
    return {
        "datatype": (ask_tensors(wrong), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [1.0], right)), "INVALID_INPUT"),
        "name": (ask_tensors(right, name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    }


def refused_columns(right: str, wrong: str) -> dict[str, tuple[Ask, str]]:
    """The same of a model whose inputs are columns."""
    return {
        "datatype": (ask_column(wrong), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [[1.0]], right)), "INVALID_INPUT"),
        "name": (ask_column(right, name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    }


def variables_of(case: Case) -> dict[str, str]:
    """Of the environment of the worker."""
    if not case.fault:
        return dict(case.variables)
    path = os.pathsep.join((str(Path(__file__).parent / "faults"), str(SOURCE)))
    return {**case.variables, "PYTHONPATH": path, "SALVER_TEST_FAULT": case.fault}


def all_cases() -> dict[str, Case]:
    """By the name of the runtime, which is the name of the file."""
    names = sorted(path.stem for path in (Path(__file__).parent / "cases").glob("*.py"))
    return {name: importlib.import_module(f"cases.{name}").CASE for name in names}
