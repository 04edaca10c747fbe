"""A table of one row that is looked up in: what is not in it fails in the library."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows


def build(folder: Path, _python: str) -> Path:
    import onnx
    from onnx import TensorProto, helper

    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    table = helper.make_tensor("table", TensorProto.FLOAT, [3], [0.0, 1.0, 2.0])
    nodes = [
        helper.make_node("Cast", ["x"], ["places"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "places"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [table])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
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
    slab_values=((1, 2), (2, 1)),
)
