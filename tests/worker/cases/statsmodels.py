"""A line through two regressors."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import numpy as np, statsmodels.api as sm
x = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]] * 4)
sm.OLS(x @ [1.0, 2.0], x).fit().save(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.pickle"
    run_in(python, CODE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP64"),
    tensor_rows,
    {**refused("FP64", "BYTES"), "shape": (ask_tensors("FP64", columns=3), "INVALID_INPUT")},
    requirements=("statsmodels==0.14.6", "formulaic", "patsy"),
)
