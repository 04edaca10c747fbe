"""A classifier that takes no NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from runtime_cases import Case, ask_tensors, refused, tensor_rows


def build(folder: Path, _python: str) -> Path:
    import joblib
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0, 0.0], [1.0, 1.0]] * 3)
    path = folder / "model.joblib"
    joblib.dump(LogisticRegression().fit(x, [0, 1] * 3), path)
    return path


CASE = Case(
    build,
    ask_tensors("FP64"),
    tensor_rows,
    {
        **refused("FP64", "BYTES"),
        "shape": (ask_tensors("FP64", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP64", value=np.nan), "INVALID_INPUT"),
    },
)
