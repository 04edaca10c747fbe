"""What is asked: a model, a way to send its input, and the addresses that take it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import inprocess, models

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

JSON = "application/json"
RAW = "application/octet-stream"
JPEG = "image/jpeg"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One kind of request. `bodies` makes the requests, all different; `decode` reads one as the model takes it."""

    name: str
    title: str
    model: str
    content_type: str
    bodies: Callable[[], list[bytes]]
    decode: inprocess.Decode
    salver_path: str
    fastapi_path: str
    prototype_path: str | None = None
    prototype_variables: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Example:
    """A request, and the numbers that must come back."""

    body: bytes
    expected: list[float]


class Prepared:
    """A workload whose model is loaded here and whose right answers are known."""

    def __init__(self, workload: Workload, models_folder: Path, folder: Path) -> None:
        self.workload = workload
        self._model = inprocess.LocalModel(models_folder, workload.model)
        bodies = workload.bodies()
        self.examples = [Example(body, inprocess.numbers_of(self.answer([body])[0])) for body in bodies]
        self.body_path = folder / f"{workload.name}.body"
        self.body_path.write_bytes(bodies[0])

    def answer(self, bodies: list[bytes]) -> list[bytes]:
        return inprocess.answer(self._model, self.workload.decode, bodies)


def _as_json(rows: list[Array]) -> list[bytes]:
    return [
        json.dumps({"instances": [[round(float(value), 4) for value in row] for row in each]}).encode() for each in rows
    ]


def _as_raw(rows: list[Array]) -> list[bytes]:
    return [each.tobytes() for each in rows]


WORKLOADS = (
    Workload(
        name="iris-json",
        title="iris, 4 numbers as JSON (TensorFlow Serving REST)",
        model="iris",
        content_type=JSON,
        bodies=lambda: _as_json(models.iris_rows()),
        decode=inprocess.decode_json,
        salver_path="/v1/models/iris:predict",
        fastapi_path="/iris/predict",
        prototype_path="/v1/models/iris:predict",
    ),
    Workload(
        name="mlp-json",
        title="MLP 784-512-512-10, 784 numbers as JSON (TensorFlow Serving REST)",
        model="mlp",
        content_type=JSON,
        bodies=lambda: _as_json(models.noise_rows(784)),
        decode=inprocess.decode_json,
        salver_path="/v1/models/mlp:predict",
        fastapi_path="/mlp/predict",
        prototype_path="/v1/models/mlp:predict",
    ),
    Workload(
        name="mlp-raw",
        title="MLP 784-512-512-10, 3 KB of raw bytes (native REST)",
        model="mlp",
        content_type=RAW,
        bodies=lambda: _as_raw(models.noise_rows(784)),
        decode=inprocess.decode_raw(784),
        salver_path="/api/v1/models/mlp/predict",
        fastapi_path="/mlp/predict-raw",
        prototype_path="/v2/models/mlp/infer",
    ),
    Workload(
        name="tensor-raw",
        title="mean of a [1, 3, 224, 224] tensor, 602 KB of raw bytes (native REST)",
        model="img",
        content_type=RAW,
        bodies=lambda: _as_raw(models.noise_rows(3, models.PICTURE_SIDE, models.PICTURE_SIDE)),
        decode=inprocess.decode_raw(3, models.PICTURE_SIDE, models.PICTURE_SIDE),
        salver_path="/api/v1/models/img/predict",
        fastapi_path="/img/predict-raw",
        prototype_path="/v2/models/img/infer",
        prototype_variables=(("ZC", "1"), ("SHM", "1")),
    ),
    Workload(
        name="photo-jpeg",
        title="mean of a JPEG of 640 x 480, decoded and resized to 224 x 224 (native REST)",
        model="photo",
        content_type=JPEG,
        bodies=models.photos,
        decode=inprocess.decode_photo,
        salver_path="/api/v1/models/photo/predict",
        fastapi_path="/photo/predict-photo",
    ),
)
