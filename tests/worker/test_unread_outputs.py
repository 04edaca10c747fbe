"""Outputs that no row of the manifest reads are not computed where the runtime can do without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression

from salver_worker.loading import load

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 5)
Y = (X[:, 0] > 0).astype(int)


class Curious(LogisticRegression):
    """Counts what it is asked for."""

    asked: list[str] = []  # noqa: RUF012  shared on purpose: the model that is served is another object

    def predict(self, rows: Any) -> Any:
        self.asked.append("predict")
        return super().predict(rows)

    def predict_proba(self, rows: Any) -> Any:
        self.asked.append("predict_proba")
        return super().predict_proba(rows)


@pytest.fixture
def asked() -> list[str]:
    Curious.asked.clear()
    return Curious.asked


def serve(path: Path, runtime: str, *reads: str) -> Any:
    manifest = {"inputs": [], "outputs": [{"reads": name} for name in reads], "example": None}
    return load(
        {
            "protocol": 1,
            "model": "m",
            "version": 1,
            "runtime": runtime,
            "path": str(path),
            "folder": str(path.parent),
            "manifest": manifest,
        }
    )


def names(loaded: Any) -> list[str]:
    return [row["name"] for row in loaded.ready["signatures"]["serving_default"]["outputs"]]


@pytest.mark.parametrize(("reads", "method"), [("label", "predict"), ("probabilities", "predict_proba")])
def test_a_classifier_is_asked_for_what_is_read_alone(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, reads: str, method: str
) -> None:
    monkeypatch.setattr("joblib.load", lambda path: Curious().fit(X, Y))
    loaded = serve(tmp_path / "model.joblib", "sklearn", reads)
    asked.clear()
    assert list(loaded.model.predict({"x": X}, {})) == names(loaded) == [reads]
    assert asked == [method]


@pytest.fixture
def twice(tmp_path: Path) -> Path:
    """An ONNX model of two outputs: its input, and its input as text."""
    nodes = [helper.make_node("Identity", ["x"], ["same"])]
    nodes.append(helper.make_node("Cast", ["x"], ["text"], to=TensorProto.STRING))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])
    same = helper.make_tensor_value_info("same", TensorProto.FLOAT, ["N", 1])
    text = helper.make_tensor_value_info("text", TensorProto.STRING, ["N", 1])
    graph = helper.make_graph(nodes, "g", [x], [same, text])
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("reads", [("same",), ("text",), ("same", "text"), ()])
def test_an_onnx_session_is_asked_for_what_is_read_alone(twice: Path, reads: tuple[str, ...]) -> None:
    loaded = serve(twice, "onnx", *reads)
    outputs = loaded.model.predict({"x": np.ones((2, 1), np.float32)}, {})
    assert list(outputs) == names(loaded) == list(reads or ("same", "text"))
    expected = {"same": [[1.0], [1.0]], "text": [[b"1"], [b"1"]]}
    assert all(array.tolist() == expected[name] for name, array in outputs.items())


def test_an_output_that_is_read_under_another_name_keeps_its_own_in_the_model(twice: Path) -> None:
    manifest = {"inputs": [], "outputs": [{"reads": "same", "name": "echo"}], "example": None}
    base = {"protocol": 1, "model": "m", "version": 1, "runtime": "onnx", "path": str(twice), "folder": "/"}
    loaded = load({**base, "manifest": manifest})
    assert names(loaded) == ["echo"]
    assert list(loaded.model.predict({"x": np.ones((1, 1), np.float32)}, {})) == ["same"]
