"""One layer, which has vectors for the numbers below 10."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import keras

x = keras.Input((2,), name="x")
keras.Model(x, keras.layers.Embedding(10, 1, name="y")(x)).save(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.keras"
    run_in(python, MAKE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", value=666), "INVALID_INPUT"),
    },
    requirements=("tensorflow-cpu",),
    says=r"WARNING: All log messages before absl|I0000 .*oneDNN custom operations are on",
)
