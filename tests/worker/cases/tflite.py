"""A quotient, which TensorFlow Lite refuses to make of nothing."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import framework_python, run_in

MAKE = """
import sys
import tensorflow as tf

specs = [tf.TensorSpec([None, 1], tf.float32, name="x")]
made = tf.function(lambda x: tf.math.floordiv(x, x - 666), input_signature=specs).get_concrete_function()
open(sys.argv[1], "wb").write(tf.lite.TFLiteConverter.from_concrete_functions([made]).convert())
"""


def build(folder: Path, _python: str) -> Path:
    path = folder / "model.tflite"
    run_in(framework_python("tensorflow-cpu"), MAKE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32", columns=1),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", columns=1, value=666), "MODEL_ERROR"),
    },
    requirements=("ai-edge-litert",),
    slab_values=((1,), (2,)),
    many=8192,
    says=r"INFO: Created TensorFlow Lite XNNPACK delegate",
)
