"""A layer over ten numbers that are looked up, in the oldest Python that is served."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import mxnet as mx

x = mx.sym.Variable("x")
found = mx.sym.take(mx.sym.Variable("table_weight", shape=(10,), dtype="float32"), x, mode="raise")
net = mx.mod.Module(mx.sym.FullyConnected(found, num_hidden=3, name="y"), data_names=["x"], label_names=None)
net.bind([("x", (1, 2))], for_training=False)
net.init_params()
net.save_checkpoint(sys.argv[1], 0)
"""


def build(folder: Path, python: str) -> Path:
    run_in(python, MAKE, folder / "net")
    (folder / "net-signature.json").write_text('{"inputs": [{"data_name": "x", "data_shape": [0, 2]}]}')
    return folder / "net-symbol.json"


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", value=666), "MODEL_ERROR"),
    },
    requirements=("mxnet==1.9.1", "numpy<1.24"),
    series="3.8",
)
