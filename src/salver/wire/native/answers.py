"""Answers of models as this protocol writes them: JSON, raw bytes, an .npy file, or what a model's own code wrote."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import orjson

from salver.errors import Code, RequestError
from salver.operations.base import Answer
from salver.types import Array, BodyResult, InferResponse, Ranking, VersionInfo
from salver.wire.headers import HEADER_NAME
from salver.wire.jsontensors import dumps, encode_array
from salver.wire.native.accept import AnswerKind
from salver.wire.native.codec import NativeRequest
from salver.wire.native.events import body_document, event_answer
from salver_worker.frames import NUMPY_NAMES, encode_bytes_elements

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

    __slots__ = ("_head", "_ranking", "version")

    def __init__(self, version: VersionInfo, ranking: Ranking | None) -> None:
        self.version = version
        self._head = b'{"model":%b,"version":%d,"outputs":' % (orjson.dumps(version.id.model), version.id.version)
        self._ranking = ranking

    def encode(self, response: InferResponse, request: NativeRequest, request_id: str) -> Answer:
        """Raises RequestError(OUTPUT_INVALID) when the outputs are not what the signature promised."""
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
            return binary_answer(outputs, request.answer, self.version.id.version, headers)
        return Answer(200, self._document(outputs), "application/json", headers)

    def _document(self, outputs: dict[str, Array]) -> bytes:
        try:
            values = orjson.dumps(outputs, option=orjson.OPT_SERIALIZE_NUMPY)
        except TypeError:  # one is BYTES, a single value, or not contiguous
            values = dumps({name: encode_array(array) for name, array in outputs.items()})
        tail = b"}" if self._ranking is None else ranking_member(outputs, self._ranking)
        return b"".join((self._head, values, tail))


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


def binary_answer(
    outputs: dict[str, Array], kind: AnswerKind, version: int, headers: tuple[tuple[str, str], ...]
) -> Answer:
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
    return Answer(200, npy_bytes(array) if kind is AnswerKind.NPY else raw_bytes(array), kind.value, headers)


def npy_bytes(array: Array) -> bytes:
    file = BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


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
