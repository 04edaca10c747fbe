"""Answers of models as this protocol writes them: JSON, one of the other forms, or what a model's own code wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import orjson

from salver.errors import Code, RequestError
from salver.operations.base import Answer, TakesLong
from salver.serving.payload.media import QUICK_BYTES
from salver.types import Array, BodyResult, InferResponse, Ranking, VersionInfo
from salver.wire.formats.arrow import arrow_answer, arrow_file_answer, parquet_answer
from salver.wire.formats.csv_rows import CONTENT_TYPE as CSV_TYPE
from salver.wire.formats.csv_rows import csv_answer
from salver.wire.formats.json_lines import json_lines_answer
from salver.wire.formats.message_pack import message_pack_answer
from salver.wire.formats.npz import npy_bytes, npz_answer
from salver.wire.headers import HEADER_NAME
from salver.wire.jsontensors import dumps, encode_array, encode_rows
from salver.wire.native.accept import BYTES_ONLY, NEED_PYARROW, ONE_OUTPUT, AnswerKind
from salver.wire.native.codec import NativeRequest
from salver.wire.native.events import body_document, event_answer
from salver_worker.frames import NUMPY_NAMES, encode_bytes_elements

Headers: TypeAlias = tuple[tuple[str, str], ...]
DATATYPES = {np.dtype(name): datatype for datatype, name in NUMPY_NAMES.items()}

OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "date",
        "salver-understood",
        "salver-version",
        "transfer-encoding",
        "x-request-id",
    }
)
"""What the server sets itself, whatever a model's code says."""


class AnswerPlan:
    """The fixed pieces of one version's answers."""

    __slots__ = ("_head", "_is_predictions", "_ranking", "version")

    def __init__(self, version: VersionInfo, ranking: Ranking | None, is_predictions: bool = False) -> None:
        """`is_predictions`: JSON as MLflow's clients want it."""
        self.version = version
        self._is_predictions = is_predictions
        self._head = b'{"model":%b,"version":%d,"outputs":' % (orjson.dumps(version.id.model), version.id.version)
        self._ranking = ranking

    def encode(self, response: InferResponse, request: NativeRequest, request_id: str) -> Answer:
        """Raises RequestError(OUTPUT_INVALID) when the outputs are not what the signature promised, or TakesLong."""
        headers = (("X-Request-Id", request_id), ("Salver-Understood", request.understood))
        outputs = response.outputs
        if outputs is None:
            assert response.body is not None
            if request.answer is AnswerKind.EVENTS and response.body.status < 400:
                return event_answer(body_document(self.version, response.body), headers)
            return body_answer(response.body, self.version.id.version, headers)
        if request.answer is AnswerKind.EVENTS:
            return event_answer(self._document(outputs) if outputs else b"", headers)
        if request.answer is not AnswerKind.JSON:
            return self._in_form(outputs, request.answer, headers)
        if self._is_predictions:
            return Answer(200, predictions_document(outputs), "application/json", headers)
        return Answer(200, self._document(outputs), "application/json", headers)

    def _document(self, outputs: dict[str, Array]) -> bytes:
        try:
            values = orjson.dumps(outputs, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:  # one is BYTES, a single value, or not contiguous
            values = dumps({name: encode_array(array) for name, array in outputs.items()})
        tail = b"}" if self._ranking is None else ranking_member(outputs, self._ranking)
        return b"".join((self._head, values, tail))

    def _in_form(self, outputs: dict[str, Array], kind: AnswerKind, headers: Headers) -> Answer:
        id = self.version.id
        if kind in ONE_OUTPUT:
            return binary_answer(outputs, kind, id.version, headers)
        write = partial(write_form, outputs, kind, {"model": id.model, "version": id.version}, self._has_rows)
        headers += (("Salver-Version", str(id.version)),)

        def answer() -> Answer:
            return Answer(200, write(), CONTENT_TYPES.get(kind, kind.value), headers)

        if kind in PACKED or sum(array.nbytes for array in outputs.values()) > QUICK_BYTES:
            raise TakesLong(answer)
        return answer()

    @property
    def _has_rows(self) -> bool:
        return self.version.has_batch_dimension


def predictions_document(outputs: dict[str, Array]) -> bytes:
    """As MLflow's scoring server answers: the only output's values, or an object of values for each row."""
    if len(outputs) == 1:
        return dumps({"predictions": encode_array(next(iter(outputs.values())))})
    rows = zip(*map(encode_rows, outputs.values()), strict=False)
    return dumps({"predictions": [dict(zip(outputs, row, strict=True)) for row in rows]})


def write_form(outputs: dict[str, Array], kind: AnswerKind, beside: dict[str, Any], has_rows: bool) -> bytes:
    """All outputs in a form that has names. Raises RequestError(OUTPUT_INVALID)."""
    if kind is AnswerKind.NPZ:
        if any(array.dtype.kind == "O" for array in outputs.values()):
            raise RequestError(Code.OUTPUT_INVALID, "The model gave text where it promised numbers.")
        return npz_answer(outputs)
    if kind is AnswerKind.MESSAGE_PACK:
        return message_pack_answer(outputs, beside)
    return TABLES[kind](outputs, beside, has_rows)


TABLES: dict[AnswerKind, Callable[[dict[str, Array], dict[str, Any], bool], bytes]] = {
    AnswerKind.CSV: csv_answer,
    AnswerKind.JSON_LINES: json_lines_answer,
    AnswerKind.ARROW: arrow_answer,
    AnswerKind.ARROW_FILE: arrow_file_answer,
    AnswerKind.PARQUET: parquet_answer,
}
PACKED = NEED_PYARROW
CONTENT_TYPES = {AnswerKind.CSV: CSV_TYPE}


def ranking_member(outputs: dict[str, Array], ranking: Ranking) -> bytes:
    """The last member of the document, and its end."""
    return b',"ranking":%b}' % dumps(ranking_rows(outputs, ranking))


def ranking_rows(outputs: dict[str, Array], ranking: Ranking) -> list[list[dict[str, Any]]]:
    """One list per row, in the order of the outputs: each class with its probability."""
    if ranking.classes not in outputs or ranking.probabilities not in outputs:
        raise RequestError(Code.OUTPUT_INVALID, "The model did not give the outputs that its ranking is made of.")
    classes = encode_array(outputs[ranking.classes])
    probabilities = outputs[ranking.probabilities]
    return [
        [{"class": name, "probability": probability} for name, probability in zip(*row, strict=True)]
        for row in zip(classes, probabilities, strict=True)
    ]


def binary_answer(outputs: dict[str, Array], kind: AnswerKind, version: int, headers: Headers) -> Answer:
    """The only output as bytes, with its shape and datatype in headers."""
    if len(outputs) != 1:
        raise RequestError(Code.OUTPUT_INVALID, f"The model gave {len(outputs)} outputs where it promised one.")
    (array,) = outputs.values()
    datatype = "BYTES" if array.dtype.kind == "O" else DATATYPES[array.dtype]
    if kind is AnswerKind.NPY and datatype == "BYTES":
        raise RequestError(Code.OUTPUT_INVALID, "The model gave text where it promised numbers.")
    headers += (
        ("Salver-Version", str(version)),
        ("Salver-Datatype", datatype),
        ("Salver-Shape", ",".join(map(str, array.shape))),
    )
    if kind in BYTES_ONLY:
        return element_answer(array, kind, headers)
    return Answer(200, npy_bytes(array) if kind is AnswerKind.NPY else raw_bytes(array), kind.value, headers)


def element_answer(array: Array, kind: AnswerKind, headers: Headers) -> Answer:
    """Elements of BYTES as they are: texts on a line each, or the one picture."""
    elements = array.ravel().tolist() if array.dtype.kind == "O" else []
    if kind is AnswerKind.TEXT and elements:
        return Answer(200, b"\n".join(elements), "text/plain; charset=utf-8", headers)
    found = image_type(elements[0]) if len(elements) == 1 else ""
    if not found:
        raise RequestError(Code.NOT_ACCEPTABLE, f"The answer cannot be {kind.value}: the model gave something else.")
    return Answer(200, elements[0], found, headers)


IMAGES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"GIF8", "image/gif"))


def image_type(data: bytes) -> str:
    """What the first bytes say; empty when they are of no picture that browsers show."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in IMAGES if data.startswith(start)), "")


def raw_bytes(array: Array) -> bytes:
    """Row-major little-endian values; each element of BYTES behind its length (four bytes, little-endian)."""
    return encode_bytes_elements(array.ravel().tolist()) if array.dtype.kind == "O" else array.tobytes()


def body_answer(result: BodyResult, version: int, headers: tuple[tuple[str, str], ...]) -> Answer:
    """What a model's own code answered, with the status, type and headers that it set."""
    if not 200 <= result.status <= 599:
        raise RequestError(Code.OUTPUT_INVALID, f"The model's code set the status {result.status}, which HTTP has not.")
    if not all(map(HEADER_NAME.fullmatch, result.headers)):
        raise RequestError(Code.OUTPUT_INVALID, "The model's code set a header whose name HTTP does not allow.")
    extra = tuple(item for item in result.headers.items() if item[0].lower() not in OWN_HEADERS)
    return Answer(
        result.status,
        b"" if result.status in (204, 304) else result.data,
        result.content_type or "application/octet-stream",
        (*headers, ("Salver-Version", str(version)), *extra),
    )
