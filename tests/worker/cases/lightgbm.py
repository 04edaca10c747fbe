"""A classifier of two classes."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import numpy as np, lightgbm
x = np.array([[0.0, 0.0], [1.0, 1.0]] * 30)
data = lightgbm.Dataset(x, [0, 1] * 30)
lightgbm.train({"objective": "binary", "verbose": -1}, data, 3).save_model(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.txt"
    run_in(python, CODE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP64"),
    tensor_rows,
    {
        **refused("FP64", "BYTES"),
        "shape": (ask_tensors("FP64", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP64", value=666), "MODEL_ERROR"),
    },
    requirements=("lightgbm==4.7.0",),
    fault="lightgbm.basic:Booster.predict:lightgbm.basic.LightGBMError",
)
