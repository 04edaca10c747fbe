"""One node."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows


def build(folder: Path, _python: str) -> Path:
    import onnx
    from onnx import TensorProto, helper

    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", infos[:1], infos[1:])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {**refused("FP32", "FP64"), "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT")},
)
