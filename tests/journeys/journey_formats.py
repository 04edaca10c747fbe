"""One small model in every format, as its own library writes it, with the answer that it must give."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from journey_models import write_model


class Example(NamedTuple):
    """A model's path, one row of its inputs, and that row's outputs."""

    path: Path
    inputs: dict[str, Any]
    outputs: dict[str, Any] | Any
    """By name; a handler's answer is a value."""


FLOWER = [6.0, 2.2, 4.0, 1.0]


def iris(folder: Path) -> dict[str, Example]:
    """A classifier of scikit-learn in its three formats."""
    import joblib
    import skops.io
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    flowers = load_iris()
    model = LogisticRegression(max_iter=500).fit(flowers.data, flowers.target)
    joblib.dump(model, folder / "iris_joblib.joblib")
    (folder / "iris_pickle.pkl").write_bytes(pickle.dumps(model))
    skops.io.dump(model, folder / "iris_skops.skops")
    outputs = {"label": int(model.predict([FLOWER])[0]), "probabilities": model.predict_proba([FLOWER])[0].tolist()}
    paths = {path.stem: path for path in folder.glob("iris_*")}
    return {name: Example(path, {"x": FLOWER}, outputs) for name, path in paths.items()}


def write_line(path: Path, slope: float, offset: float) -> Path:
    """An ONNX model of four numbers that answers slope * x + offset."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4]) for name in ("x", "y")]
    constants = [
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (("a", slope), ("b", offset))
    ]
    nodes = [helper.make_node("Mul", ["x", "a"], ["ax"]), helper.make_node("Add", ["ax", "b"], ["y"])]
    graph = helper.make_graph(nodes, "line", rows[:1], rows[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def line(path: Path) -> Example:
    return Example(write_line(path, 2.0, 1.0), {"x": FLOWER}, {"y": [2 * value + 1 for value in FLOWER]})


GREETS = """
def predict(name: str, times: int) -> str:
    return " ".join(["hello", name] * times)
"""


def function(folder: Path) -> Example:
    path = write_model(folder, GREETS) / "app.py"
    (folder / "model.toml").unlink()
    return Example(path, {"name": "Ada", "times": 2}, "hello Ada hello Ada")


def archive(path: Path, code: str, handler: str) -> Example:
    """A model archive as `model-archiver` packs it: the manifest, and the files of the handler beside it."""
    manifest = {
        "specificationVersion": "1.0",
        "runtime": "python",
        "model": {"modelName": path.stem, "handler": handler, "modelVersion": "1.0"},
    }
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        packed.writestr("service.py", code)
        packed.writestr("reading.py", READ_BODY)
        packed.writestr("words.txt", "served with care\n")
    return Example(path, {"nonce": 5}, {"answer": 38, "words": "served with care"})


READ_BODY = """
import json
import os

def read(row):
    body = row["body"]
    return body if isinstance(body, dict) else json.loads(bytes(body))

def read_words(context):
    with open(os.path.join(context.system_properties["model_dir"], "words.txt")) as file:
        return file.read().strip()
"""
HANDLER_FUNCTION = """
from reading import read, read_words

WORDS = []

def handle(data, context):
    if data is None:
        WORDS.append(read_words(context))
        return None
    return [{"answer": 7 * read(row)["nonce"] + 3, "words": WORDS[0]} for row in data]
"""
HANDLER_CLASS = """
from reading import read, read_words

class Service:
    def initialize(self, context):
        self.words = read_words(context)

    def handle(self, data, context):
        return [{"answer": 7 * read(row)["nonce"] + 3, "words": self.words} for row in data]
"""
