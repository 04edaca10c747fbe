"""A module with one function."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import tensorflow as tf

class Model(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def answer(self, x):
        tf.debugging.Assert(tf.reduce_all(x != 666), ["poison"])
        return {"y": tf.nn.relu(x)}

model = Model()
tf.saved_model.save(model, sys.argv[1], signatures=model.answer)
"""


def build(folder: Path, python: str) -> Path:
    run_in(python, MAKE, folder / "model")
    return folder / "model"


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
