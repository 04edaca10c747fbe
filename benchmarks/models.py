"""Makes the models that are served and the inputs that are sent, once, into a folder."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

MODELS = Path(__file__).with_name(".cache")
"""Where they are kept from run to run."""
EXAMPLES = 8
"""Inputs of each model, all different: an answer that went to the wrong caller is then a wrong answer."""
PICTURE_SIDE = 224
PHOTO_SIZE = (640, 480)
OPSET = 17

IRIS_MANIFEST = """\
[[outputs]]
reads = "label"
"""
PHOTO_MANIFEST = f"""\
[[inputs]]
name = "image"
convert = [
  "decode_image",
  {{ resize = [{PICTURE_SIDE}, {PICTURE_SIDE}] }},
  {{ scale = 0.00392156862745098 }},
  {{ layout = "NCHW" }},
]
"""


def make_models(folder: Path) -> None:
    """Write every model into a folder of its own, unless it is there."""
    _make(folder / "iris", _iris_model, IRIS_MANIFEST)
    _make(folder / "mlp", _mlp_model)
    _make(folder / "img", _mean_model)
    _make(folder / "photo", _mean_model, PHOTO_MANIFEST)


def _make(folder: Path, model: Any, manifest: str | None = None) -> None:
    path = model_path(folder.parent, folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    if manifest is not None:
        (folder / "model.toml").write_text(manifest)
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_bytes(model().SerializeToString())
        partial.rename(path)


def model_path(folder: Path, name: str) -> Path:
    return folder / name / f"{name}.onnx"


def _iris_model() -> Any:
    """A logistic regression, trained here; it gives the label of each row."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    rows, labels = load_iris(return_X_y=True)
    rows = rows.astype(np.float32)
    classifier = LogisticRegression(max_iter=1000).fit(rows, labels)
    return to_onnx(classifier, rows[:1], options={"zipmap": False}, target_opset=OPSET)


def _mlp_model() -> Any:
    """784-512-512-10 with ReLU between; the weights are noise, which costs the same as learned ones."""
    from onnx import helper, numpy_helper

    noise = np.random.default_rng(0)
    nodes, weights, before = [], [], "x"
    sizes = (784, 512, 512, 10)
    for layer, (wide, narrow) in enumerate(pairwise(sizes)):
        for name, shape in ((f"weights{layer}", (wide, narrow)), (f"bias{layer}", (narrow,))):
            weights.append(numpy_helper.from_array((noise.standard_normal(shape) * 0.05).astype(np.float32), name))
        is_last = layer == len(sizes) - 2
        linear = "y" if is_last else f"linear{layer}"
        nodes.append(helper.make_node("Gemm", [before, f"weights{layer}", f"bias{layer}"], [linear]))
        if not is_last:
            before = f"hidden{layer}"
            nodes.append(helper.make_node("Relu", [linear], [before]))
    return _onnx(nodes, weights, ["N", 784], ["N", 10])


def _mean_model() -> Any:
    """The mean of each picture: next to no computing, so that what is left is the cost of moving 602 KB."""
    from onnx import helper

    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=0)
    return _onnx([node], [], ["N", 3, PICTURE_SIDE, PICTURE_SIDE], ["N"])


def _onnx(nodes: list[Any], weights: list[Any], takes: list[Any], gives: list[Any]) -> Any:
    from onnx import TensorProto, helper

    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, takes)
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, gives)
    graph = helper.make_graph(nodes, "benchmark", [x], [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def iris_rows() -> list[Array]:
    from sklearn.datasets import load_iris

    rows, _ = load_iris(return_X_y=True)
    return [row[np.newaxis] for row in rows[:: len(rows) // EXAMPLES][:EXAMPLES].astype(np.float32)]


def noise_rows(*shape: int) -> list[Array]:
    """Rows of numbers between 0 and 1 with four decimals, as people send them."""
    noise = np.random.default_rng(1)
    return [noise.random((1, *shape)).round(4).astype(np.float32) for _ in range(EXAMPLES)]


def photos() -> list[bytes]:
    """JPEGs of smooth colours with some grain, so that they are as large as photos of that size are."""
    from PIL import Image

    noise = np.random.default_rng(2)
    encoded = []
    for _ in range(EXAMPLES):
        coarse = Image.fromarray(noise.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize(PHOTO_SIZE, Image.Resampling.BICUBIC), dtype=np.float32)
        pixels = np.clip(smooth + noise.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=85)
        encoded.append(file.getvalue())
    return encoded
