"""The same models behind FastAPI, written as its documentation shows: what people have without a model server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from benchmarks import inprocess
from benchmarks.models import PICTURE_SIDE

FOLDER_VARIABLE = "BENCHMARK_MODELS"


class Rows(BaseModel):
    instances: list[list[float]]


class Predictions(BaseModel):
    predictions: list[Any]


def create_app() -> FastAPI:
    """The service; the folder of the models is named by the environment."""
    import numpy as np

    folder = Path(os.environ[FOLDER_VARIABLE])
    app = FastAPI()
    loaded = {name: inprocess.LocalModel(folder, name) for name in ("iris", "mlp", "img", "photo")}
    decoders: dict[str, inprocess.Decode] = {
        "mlp": inprocess.decode_raw(784),
        "img": inprocess.decode_raw(3, PICTURE_SIDE, PICTURE_SIDE),
    }

    # The quick models run on the loop, which is faster for FastAPI than a thread; pictures take a thread each.
    @app.post("/{name}/predict")
    async def predict(name: str, rows: Rows) -> Predictions:
        values = loaded[name].predict(np.array(rows.instances, np.float32))
        return Predictions(predictions=values.tolist())

    @app.post("/{name}/predict-raw")
    async def predict_raw(name: str, request: Request) -> Predictions:
        values = loaded[name].predict(decoders[name](await request.body()))
        return Predictions(predictions=values.tolist())

    @app.post("/{name}/predict-photo")
    async def predict_photo(name: str, request: Request) -> Predictions:
        values = await run_in_threadpool(_predict_photo, loaded[name].predict, await request.body())
        return Predictions(predictions=values)

    return app


def _predict_photo(predict: Callable[[Any], Any], body: bytes) -> list[float]:
    values: list[float] = predict(inprocess.decode_photo(body)).tolist()
    return values
