"""A linear model of R, whose formula refuses a number."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_cases import Case, tensor_rows

MAKE = """
model <- lm(y ~ I({ if (any(x == 666)) stop("poison"); x }), data.frame(x = c(1, 2, 4), y = c(2, 3, 7)))
saveRDS(model, commandArgs(TRUE)[1])
"""


def build(folder: Path, _python: str) -> Path:
    path = folder / "model.rds"
    run_r(MAKE, path)
    return path


def run_r(code: str, *arguments: str | Path) -> str:
    """What R prints; skips where it is not."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        pytest.skip("NO R: install r-base-core to test what is about it")
    command = [rscript, "--vanilla", "-e", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(datatype: str, name: str = "x", value: Any = 1.0) -> Any:
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full(rows, value), datatype))


CASE = Case(
    build,
    ask("FP64"),
    tensor_rows,
    {
        "datatype": (ask("BYTES"), "INVALID_INPUT"),
        "name": (ask("FP64", name="z"), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [[1.0]], "FP64")), "INVALID_INPUT"),
        "poison": (ask("FP64", value=666), "MODEL_ERROR"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    },
    slab_values=(1, 2),
)
