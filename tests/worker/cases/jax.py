"""One function of a keyword; JAX is told to raise where it meets a number that is none."""

from __future__ import annotations

import math
from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import jax
from jax import export

(rows,) = export.symbolic_shape("n")
x = jax.ShapeDtypeStruct((rows, 2), "float32")
serialized = export.export(jax.jit(lambda *, x: {"y": jax.nn.relu(x)}))(x=x).serialize()
open(sys.argv[1], "wb").write(serialized)
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.jax"
    run_in(python, MAKE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", value=math.nan), "MODEL_ERROR"),
    },
    requirements=("jax[cpu]", "flatbuffers"),
    variables={"JAX_DEBUG_NANS": "1"},
)
