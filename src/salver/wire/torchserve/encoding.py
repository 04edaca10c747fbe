"""Results: a handler's bytes as they are, and tensors in the form that handlers of the original answer in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pybase64

from salver.errors import Code, RequestError
from salver.operations.base import Answer
from salver.types import Array, BodyResult, InferRequest, InferResponse, Ranking
from salver.wire.headers import HEADER_NAME
from salver.wire.torchserve.answers import USUAL_HEADERS, pretty, usual_headers

OWN_HEADERS = frozenset(
    {"connection", "content-length", "content-type", "date", "transfer-encoding", "x-request-id"}
    | {name.lower() for name, _ in USUAL_HEADERS}
)
"""What the server sets itself, whatever a handler says."""

BODILESS = frozenset({204, 304})


def encode(response: InferResponse, request: InferRequest, request_id: str) -> Answer:
    """A successful prediction, with the empty reason phrase of the original. Raises RequestError(OUTPUT_INVALID)."""
    if response.body is not None:
        return body_answer(response.body, request_id)
    signature = request.version.signature(request.signature_name)
    document = document_of(response, request.rows, signature.ranking if signature else None)
    try:
        body = pretty(document)
    except TypeError as error:
        raise RequestError(Code.OUTPUT_INVALID, "Unsupported model output data type.", log_detail=str(error)) from error
    return Answer(200, body, headers=usual_headers(request_id), phrase="")


def body_answer(result: BodyResult, request_id: str) -> Answer:
    """A handler's bytes as they are, with the status and headers that it set."""
    if not 200 <= result.status <= 599:
        raise RequestError(Code.OUTPUT_INVALID, f"The model's code set the status {result.status}, which HTTP has not.")
    extra = tuple(
        handler_header(name, value) for name, value in result.headers.items() if name.lower() not in OWN_HEADERS
    )
    return Answer(
        result.status,
        b"" if result.status in BODILESS else result.data,
        content_type=content_type_of(result),
        headers=usual_headers(request_id) + extra,
        phrase=one_line(result.phrase),
        close=result.status >= 400,
    )


def content_type_of(result: BodyResult) -> str | None:
    """What the handler set, by its call or as a header."""
    named = [value for name, value in result.headers.items() if name.lower() == "content-type"]
    found = result.content_type or next(iter(named), None)
    return None if found is None else one_line(found)


def handler_header(name: str, value: str) -> tuple[str, str]:
    if HEADER_NAME.fullmatch(name) is None:
        raise RequestError(Code.OUTPUT_INVALID, "The model's code set a header whose name HTTP does not allow.")
    return (name, one_line(value))


def one_line(value: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise RequestError(Code.OUTPUT_INVALID, "The model's code set a header or phrase of several lines.")
    return value


def document_of(response: InferResponse, rows: int, ranking: Ranking | None) -> Any:
    """What the outputs look like as JSON: the value of the one row that was sent, or a list with a value for each row.

    A row's value is its ranking, where the model makes one; the only output's value; or an object of all outputs.
    """
    outputs = response.outputs or {}
    if ranking is not None:
        values = rankings(outputs[ranking.classes], outputs[ranking.probabilities])
        return values[0] if len(values) == 1 else values
    if not response.version.has_batch_dimension:
        return by_name({name: plain(array) for name, array in outputs.items()})
    if rows == 1:
        return by_name({name: plain(array[0]) for name, array in outputs.items()})
    if len(outputs) == 1:
        return plain(next(iter(outputs.values())))
    return [{name: plain(array[row]) for name, array in outputs.items()} for row in range(rows)]


def by_name(values: dict[str, Any]) -> Any:
    return next(iter(values.values())) if len(values) == 1 else values


def rankings(classes: Array, probabilities: Array) -> list[list[dict[str, Any]]]:
    """The form that image classifiers of the original answer in, highest first."""
    return [
        [{"class": text(name), "probability": probability} for name, probability in zip(*row, strict=True)]
        for row in zip(np.atleast_2d(classes), np.atleast_2d(probabilities), strict=True)
    ]


def plain(value: Any) -> Any:
    """An array, or one of its elements, as the JSON encoder takes it."""
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return texts(value.tolist())
        return np.ascontiguousarray(value) if value.ndim else value[()]
    return text(value)


def texts(values: Any) -> Any:
    return [texts(value) for value in values] if isinstance(values, list) else text(values)


def text(value: Any) -> Any:
    """Bytes as text where they are UTF-8, else as base64; anything else as it is."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": pybase64.b64encode(value).decode()}
