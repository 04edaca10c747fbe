"""A classifier of two classes."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import numpy as np, xgboost
x = np.array([[0.0, 0.0], [1.0, 1.0]] * 10, np.float32)
xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(x, [0, 1] * 10), 3).save_model(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.ubj"
    run_in(python, CODE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", value=666), "MODEL_ERROR"),
    },
    requirements=("xgboost-cpu==3.2.0",),
    fault="xgboost.core:Booster.inplace_predict:xgboost.core.XGBoostError",
)
