"""What another server's file declares of a model, held against the model when it is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVR

from salver_worker.failures import LoadFailure
from salver_worker.loading import load

FLOAT = TensorProto.FLOAT


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    """Loads `y = x` of a shape as the file declares it; gives READY's header."""

    def serve(shape: list[Any], **declared: Any) -> dict[str, Any]:
        infos = [[helper.make_tensor_value_info(name, FLOAT, shape)] for name in ("x", "y")]
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", *infos)
        path = tmp_path / "model.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
        return load(header(path, "onnx", declared)).ready

    return serve


def header(path: Path, runtime: str, declared: dict[str, Any]) -> dict[str, Any]:
    return {
        "protocol": 1,
        "model": "m",
        "version": 1,
        "runtime": runtime,
        "path": str(path),
        "folder": str(path.parent),
        "manifest": {"declared": {"file": "config.pbtxt", **declared}},
    }


def row(name: str, datatype: str | None, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def signature(ready: dict[str, Any]) -> dict[str, Any]:
    return ready["signatures"]["serving_default"]


def test_dimensions_that_the_model_leaves_free_are_those_of_the_file(serve) -> None:
    ready = serve(["N", "M"], inputs=[row("x", "FP32", 3)], outputs=[row("y", None, -1)], has_rows=True)
    assert signature(ready)["inputs"] == [row("x", "FP32", -1, 3)]
    assert signature(ready)["outputs"] == [row("y", "FP32", -1, -1)]
    assert ready["has_batch_dimension"] is True


def test_without_a_word_of_batches_rows_may_be_left_out_or_not(serve) -> None:
    for shape in ([3], [-1, 3]):
        ready = serve(["N", 3], inputs=[row("x", "FP32", *shape)], has_rows=None)
        assert signature(ready)["inputs"] == [row("x", "FP32", -1, 3)]
        assert ready["has_batch_dimension"] is True


def test_a_file_without_batches_leaves_the_first_dimension_to_the_model(serve) -> None:
    ready = serve(["N", 3], inputs=[row("x", "FP32", 2, 3)], has_rows=False)
    assert signature(ready)["inputs"] == [row("x", "FP32", 2, 3)]
    assert ready["has_batch_dimension"] is False


@pytest.mark.parametrize(
    ("shape", "declared", "said"),
    [
        (["N", 3], {"inputs": [row("z", "FP32", 3)]}, "config.pbtxt declares the input z; the model has x"),
        (["N", 3], {"outputs": [row("z", "FP32", 3)]}, "config.pbtxt declares the output z; the model has y"),
        (
            ["N", 3],
            {"inputs": [row("x", "INT32", 3)], "has_rows": True},
            r"config.pbtxt declares the input x as INT32 \[-1, 3\]; the model has FP32 \[-1, 3\]",
        ),
        (["N", 3], {"outputs": [row("y", "FP32", 4)], "has_rows": True}, r"the model has FP32 \[-1, 3\]"),
        (["N", 3], {"inputs": [row("x", "FP32", 3)], "has_rows": False}, r"as FP32 \[3\]; the model has"),
        ([1, 3], {"has_rows": True}, "the model's tensors have no first dimension for rows"),
    ],
)
def test_a_file_that_is_about_another_model_keeps_this_one_from_being_served(serve, shape, declared, said) -> None:
    with pytest.raises(LoadFailure, match=said) as refused:
        serve(shape, **declared)
    assert refused.value.code == "MANIFEST_INVALID"


def test_an_input_that_the_file_leaves_out_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    infos = [helper.make_tensor_value_info(name, FLOAT, ["N"]) for name in ("a", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "g", infos[:2], infos[2:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    with pytest.raises(LoadFailure, match=r"config\.pbtxt does not declare the input b, which the model needs"):
        load(header(path, "onnx", {"inputs": [row("a", "FP32")]}))


def test_outputs_are_called_as_their_callers_know_them(tmp_path: Path) -> None:
    import joblib

    names = {"label": "predict", "prediction": "predict", "probabilities": "predict_proba"}
    rows, labels = np.array([[0.0, 1.0], [1.0, 0.0]] * 4), [0, 1] * 4
    for estimator, outputs in ((LogisticRegression(), ["predict", "predict_proba"]), (SVR(), ["predict"])):
        path = tmp_path / "model.joblib"
        joblib.dump(estimator.fit(rows, labels), path)
        loaded = load(header(path, "sklearn", {"rename": names}))
        assert [each["name"] for each in signature(loaded.ready)["outputs"]] == outputs
        loaded.model.close()


def test_a_model_toml_names_its_outputs_itself(tmp_path: Path) -> None:
    import joblib

    path = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    head = header(path, "sklearn", {"rename": {"label": "predict"}})
    head["manifest"]["outputs"] = [{"reads": "label", "name": "mine", "convert": []}]
    assert [each["name"] for each in signature(load(head).ready)["outputs"]] == ["mine"]
