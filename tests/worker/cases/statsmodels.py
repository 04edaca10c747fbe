"""A formula, which knows the two values that it was fitted to."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_column, refused_columns, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import pandas, statsmodels.formula.api as smf
smf.ols("y ~ C(x)", pandas.DataFrame({"x": [0.0, 1.0] * 6, "y": [0.5, 2.0] * 6})).fit().save(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.pickle"
    run_in(python, CODE, path)
    return path


CASE = Case(
    build,
    ask_column("FP64"),
    tensor_rows,
    {**refused_columns("FP64", "BYTES"), "poison": (ask_column("FP64", value=666), "INVALID_INPUT")},
    requirements=("statsmodels==0.14.6", "formulaic", "patsy"),
    slab_values=(0, 1),
)
