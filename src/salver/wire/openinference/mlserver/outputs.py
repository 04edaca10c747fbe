"""Answers as MLServer writes them: always with an id, lists as columns, a content type for each output. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from salver.operations.base import Answer
from salver.types import Array, InferResponse
from salver.wire.openinference.outputs import NUMPY, json_values, outputs_of
from salver.wire.openinference.request import V2Request, Wish
from salver.wire.openinference.values import BASE64

Headers = tuple[tuple[str, str], ...]


def encode(response: InferResponse, request: V2Request, outputs: Mapping[str, Array], headers: Headers = ()) -> Answer:
    """With these headers. Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
    id = response.version.id
    document: dict[str, Any] = {
        "model_name": id.model,
        "model_version": str(id.version),
        "id": request.id,
        "parameters": {},
        "outputs": [
            {
                "name": wish.name,
                "shape": shape_of(array),
                "datatype": datatype,
                "parameters": {"content_type": content_type(wish, datatype)},
                "data": json_values(wish, array, datatype),
            }
            for wish, array, datatype in outputs_of(response, request, outputs)
        ],
    }
    return Answer(200, orjson.dumps(document, None, NUMPY), headers=headers)


def shape_of(array: Array) -> tuple[int, ...]:
    """A list of values is a column."""
    return (*array.shape, 1) if array.ndim == 1 else array.shape


def content_type(wish: Wish, datatype: str) -> str:
    if datatype != "BYTES":
        return "np"
    return BASE64 if wish.is_base64 else "str"
