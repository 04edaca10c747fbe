"""A classifier whose classes are words."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import catboost, numpy as np
x = np.array([[0.0, 0.0], [1.0, 1.0]] * 10)
model = catboost.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)
model.fit(x, ["no", "yes"] * 10).save_model(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.cbm"
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
    requirements=("catboost==1.2.10",),
    fault="catboost.core:CatBoost.predict:catboost.CatBoostError",
)
