"""A class of Python's that sums rows."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import mlflow.pyfunc, numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        if (model_input == 666).any():
            raise ValueError("poison")
        return model_input.sum(axis=1)
one, two = (TensorSpec(np.dtype("float64"), shape) for shape in ((-1, 2), (-1,)))
mlflow.pyfunc.save_model(
    sys.argv[1],
    python_model=Sum(),
    signature=ModelSignature(Schema([one]), Schema([two])),
    pip_requirements=["mlflow-skinny"],
)
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model"
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
    requirements=("mlflow-skinny==3.17.2", "pandas", "cloudpickle"),
)
