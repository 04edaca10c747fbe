"""ONNX models, in process: signatures, text, tables of maps, and real models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from salver_worker import frames
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, OutputInvalid
from salver_worker.runtimes import onnx as runtime
from salver_worker.runtimes.base import LoadRequest


def row(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def open_file(path: Path, threads: int = 1) -> Any:
    return runtime.load(LoadRequest("m", 1, str(path), str(path.parent), threads=threads))


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    """A model of the given nodes; inputs and outputs are (name, element type, shape)."""

    def serve(nodes: list[Any], inputs: list[Any], outputs: list[Any]) -> Any:
        infos = [[helper.make_tensor_value_info(*each) for each in side] for side in (inputs, outputs)]
        graph = helper.make_graph(nodes, "g", *infos)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(model, tmp_path / "model.onnx")
        return open_file(tmp_path / "model.onnx")

    return serve


def identity(source: str = "x", target: str = "y") -> Any:
    return helper.make_node("Identity", [source], [target])


@pytest.mark.parametrize("element", sorted(runtime.ELEMENTS))
def test_every_element_type_keeps_its_values(serve: Any, element: str) -> None:
    number = TensorProto.DataType.Value("DOUBLE" if element == "double" else element.upper())
    model = serve([identity()], [("x", number, ["N", 2])], [("y", number, ["N", 2])])
    datatype = runtime.ELEMENTS[element]
    assert model.signature == {
        "inputs": [row("x", datatype, -1, 2)],
        "outputs": [row("y", datatype, -1, 2)],
        "ranking": None,
    }
    if datatype == "BYTES":
        values = np.array([["é".encode(), b""]], object)
    else:
        values = np.array([[0, 1]]).astype(runtime.NUMPY_TYPES[datatype])
    values.setflags(write=False)
    answer = model.predict({"x": values}, {})["y"]
    assert answer.dtype == values.dtype
    assert answer.tolist() == values.tolist()


def test_bf16_is_refused_with_the_way_out(serve: Any) -> None:
    cast = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.BFLOAT16)
    with pytest.raises(LoadFailure, match=r"the output y is of the type tensor\(bfloat16\)") as caught:
        serve([cast], [("x", TensorProto.FLOAT, ["N"])], [("y", TensorProto.BFLOAT16, ["N"])])
    assert "FP32 or FP16" in caught.value.fix


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        ((["N", 2], ["N", 2]), True),
        (([None, 2], [None, 2]), True),
        (([1, 2], [1, 2]), False),
        ((["N", 2], [1, 2]), False),
    ],
)
def test_rows_may_be_added_where_every_first_dimension_is_free(serve: Any, shapes: Any, expected: bool) -> None:
    inputs, outputs = shapes
    model = serve([identity()], [("x", TensorProto.FLOAT, inputs)], [("y", TensorProto.FLOAT, outputs)])
    assert model.has_batch_dimension is expected


def test_inputs_that_count_different_things_cannot_be_put_together(serve: Any) -> None:
    nodes = [identity("a", "c"), identity("b", "d")]
    sides = [
        [(name, TensorProto.FLOAT, [dim, 2]) for name, dim in pairs]
        for pairs in ((("a", "N"), ("b", "M")), (("c", "N"), ("d", "M")))
    ]
    assert not serve(nodes, *sides).has_batch_dimension


def test_a_rank_that_the_file_does_not_tell_is_learned(serve: Any) -> None:
    relu = helper.make_node("Relu", ["x"], ["y"])
    model = serve([relu], [("x", TensorProto.FLOAT, ["N", 3])], [("y", TensorProto.FLOAT, None)])
    assert model.signature["outputs"] == [row("y", "FP32", -1, 3)]
    assert model.has_batch_dimension


def test_text_that_is_not_utf_8_is_the_callers_error(serve: Any) -> None:
    model = serve([identity()], [("x", TensorProto.STRING, ["N"])], [("y", TensorProto.STRING, ["N"])])
    with pytest.raises(InputError, match="the input x holds bytes that are not UTF-8"):
        model.predict({"x": np.array([b"\xff"], object)}, {})


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two exports of scikit-learn's, with class probabilities as maps and labels of either type."""
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("exports")
    x = np.array([[0, 0], [1, 1], [2, 2]] * 4, np.float32)
    for name, labels in (("numbers", [10, 20, 30] * 4), ("texts", ["a", "b", "c"] * 4)):
        model = to_onnx(LogisticRegression(max_iter=1000).fit(x, labels), x[:1])
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.mark.parametrize(
    ("name", "classes", "label"), [("numbers", [10, 20, 30], 30), ("texts", ["a", "b", "c"], b"c")]
)
def test_a_table_of_maps_becomes_an_array(classifiers: Path, name: str, classes: list[Any], label: Any) -> None:
    model = open_file(classifiers / f"{name}.onnx")
    probabilities = model.signature["outputs"][1]
    assert probabilities == row("output_probability", "FP32", -1, 3)
    assert json.loads(model.details["output_probability.classes"]) == classes
    outputs = model.predict({"X": np.array([[0, 0], [9, 9]], np.float32)}, {})
    assert outputs["output_label"].tolist()[1] == label
    assert outputs["output_probability"].shape == (2, 3)
    assert outputs["output_probability"].argmax(axis=1).tolist() == [0, 2]
    assert model.has_batch_dimension


def test_maps_of_different_classes_are_no_table() -> None:
    with pytest.raises(OutputInvalid, match="the same classes"):
        runtime._table("y", [{"a": 1.0}, {"a": 1.0, "b": 0.0}])
    assert runtime._table("y", []).shape == (0, 0)


def test_the_session_does_not_spin_and_keeps_to_its_threads(classifiers: Path, monkeypatch: Any) -> None:
    import onnxruntime

    seen = []
    original = onnxruntime.InferenceSession

    def session(path: str, options: Any, **rest: Any) -> Any:
        seen.append(options)
        return original(path, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    open_file(classifiers / "numbers.onnx", threads=2)
    (options,) = seen
    assert options.intra_op_num_threads == 2
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_a_real_image_model_is_served(test_data: Path) -> None:
    model = open_file(test_data / "squeezenet_v1.1" / "squeezenet_v1.1.onnx")
    assert model.signature["inputs"] == [row("data", "FP32", -1, 3, 227, 227)]
    assert model.has_batch_dimension
    answer = model.predict({"data": np.zeros((2, 3, 227, 227), np.float32)}, {})["prob"]
    assert answer.shape[0] == 2
    assert answer.reshape(2, -1).sum(axis=1) == pytest.approx([1, 1], abs=1e-4)


def test_a_real_model_of_strings_adds_and_subtracts(test_data: Path) -> None:
    (path,) = (test_data / "triton" / "simple_string").rglob("*.onnx")
    model = open_file(path)
    tens = np.array([[str(value).encode() for value in range(16)]], object)
    ones = np.array([[b"1"] * 16], object)
    outputs = model.predict({"INPUT0": tens, "INPUT1": ones}, {})
    assert outputs["OUTPUT0"].tolist() == [[str(value + 1).encode() for value in range(16)]]
    assert outputs["OUTPUT1"].tolist() == [[str(value - 1).encode() for value in range(16)]]


def test_a_photo_goes_through_conversions_and_a_real_model(start_worker: Any, test_data: Path, tmp_path: Path) -> None:
    for name in ("images/kitten.jpg", "squeezenet_v1.1/synset.txt"):
        shutil.copy(test_data / name, tmp_path)
    worker = start_worker()
    ready = worker.load(
        "onnx",
        test_data / "squeezenet_v1.1" / "squeezenet_v1.1.onnx",
        inputs=[
            {
                "name": "image",
                "feeds": "data",
                "convert": [
                    "decode_image",
                    {"resize": {"size": [227, 227], "mode": "bilinear"}},
                    {"colour_order": "BGR"},
                    {"normalize": {"mean": [104, 117, 123]}},
                    {"layout": "NCHW"},
                ],
            }
        ],
        outputs=[{"reads": "prob", "convert": [{"top_k": {"k": 2, "labels": "synset.txt"}}]}],
        example={
            "inputs": {"image": {"file": "kitten.jpg"}},
            "expect": {"classes": [["n02123159 tiger cat", "n02124075 Egyptian cat"]], "probabilities": [[0.41]]},
            "tolerance": 0.02,
        },
    )
    assert ready.verb == frames.READY, ready.header
    signature = ready.header["signatures"]["serving_default"]
    assert signature["inputs"] == [row("image", "BYTES", -1)]
    assert signature["ranking"] == {"classes": "classes", "probabilities": "probabilities"}
    photo = (tmp_path / "kitten.jpg").read_bytes()
    link = worker.attach()
    raw = frames.encode_bytes_elements([photo, photo])
    link.send(frames.PREDICT, 1, {"signature": "serving_default", "tensors": [["image", "BYTES", [2], len(raw)]]}, raw)
    classes = link.receive().arrays["classes"]
    assert classes.tolist() == [[b"n02123159 tiger cat", b"n02124075 Egyptian cat"]] * 2
    broken = frames.encode_bytes_elements([b"no picture"])
    link.send(frames.PREDICT, 2, {"tensors": [["image", "BYTES", [1], len(broken)]]}, broken)
    assert link.receive().header["code"] == "INVALID_INPUT"
