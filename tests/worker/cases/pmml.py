"""A tree with one split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from runtime_cases import Case, tensor_rows

from pmml_tree import TREE


def build(folder: Path, _python: str) -> Path:
    path = folder / "tree.pmml"
    path.write_text(TREE)
    return path


def ask(datatype: str, name: str = "x", value: Any = 1.0) -> Any:
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full(rows, value), datatype))


CASE = Case(
    build,
    ask("FP64"),
    tensor_rows,
    {
        "datatype": (ask("BYTES"), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [[1.0]], "FP64")), "INVALID_INPUT"),
        "name": (ask("FP64", name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    },
    requirements=("pypmml==1.5.8",),
    slab_values=(0.25, 0.75),
)
