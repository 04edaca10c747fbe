"""A model in this process: what the answers must be, and what they cost without a server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.models import PICTURE_SIDE, model_path

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

Decode = Callable[[bytes], "Array"]


def load_session(path: Path) -> Any:
    """The model on one thread that sleeps while it waits, as Salver's workers have it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class LocalModel:
    """The model's first output for rows of its only input."""

    def __init__(self, folder: Path, name: str) -> None:
        session = load_session(model_path(folder, name))
        self._run = session.run
        self._input = session.get_inputs()[0].name
        self._output = [session.get_outputs()[0].name]

    def predict(self, rows: Array) -> Array:
        values: Array = self._run(self._output, {self._input: rows})[0]
        return values


def decode_json(body: bytes) -> Array:
    import orjson

    return np.array(orjson.loads(body)["instances"], np.float32)


def decode_raw(*shape: int) -> Decode:
    """Reads rows of `shape` from their bytes."""
    return lambda body: np.frombuffer(body, np.float32).reshape(-1, *shape)


def decode_photo(body: bytes) -> Array:
    """What the manifest of the model says, in Pillow and NumPy."""
    from PIL import Image

    with Image.open(io.BytesIO(body)) as picture:
        small = picture.convert("RGB").resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, np.float32) * np.float32(1 / 255)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def answer(model: LocalModel, decode: Decode, bodies: Sequence[bytes]) -> list[bytes]:
    """From bodies to the bodies of their answers, the model asked once for all of them."""
    import orjson

    rows = [decode(body) for body in bodies]
    values = model.predict(rows[0] if len(rows) == 1 else np.concatenate(rows)).tolist()
    if len(rows) == 1:
        return [orjson.dumps({"predictions": values})]
    return [orjson.dumps({"predictions": [value]}) for value in values]


def numbers_of(document: bytes) -> list[float]:
    """The numbers of an answer, in order: its `predictions`, or its only output."""
    answered = json.loads(document)
    values = answered["predictions"] if "predictions" in answered else next(iter(answered["outputs"].values()))
    return [float(number) for number in np.ravel(values)]
