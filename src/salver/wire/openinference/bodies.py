"""Requests to models that take bodies: each input of BYTES with one element is a part of the body. Pure."""

from __future__ import annotations

import numpy as np
import orjson

from salver.operations.base import Answer
from salver.types import (
    DEFAULT_SIGNATURE,
    Array,
    Body,
    BodyResult,
    InferResponse,
    Part,
    SlabSlice,
    TensorSpec,
    VersionInfo,
)
from salver.wire.jsonbody import Buffer
from salver.wire.openinference.binary import SIZE, Pieces, check_all_taken, split
from salver.wire.openinference.codec import RAW_REQUEST, read_tensor, shape_text
from salver.wire.openinference.document import InferDocument, InputDocument, model_parameters, parse_document
from salver.wire.openinference.errors import error_body, refused, shown
from salver.wire.openinference.options import allowed_s, check_priority, sequence_of, sequence_parameters
from salver.wire.openinference.outputs import encode
from salver.wire.openinference.request import V2Request, binary_default, wishes_of

BODY_GROUP = ("body",)
NAME = "body"
SPEC = TensorSpec(name=NAME, datatype="BYTES", shape=(1,))
"""What is told of such a model's input, and of its output."""
BYTES_TYPE = "application/octet-stream"
MAX_PARTS = 100
MAX_NAME_CHARACTERS = 1024


class BodyPlan:
    """For a version whose own code takes bodies."""

    __slots__ = ("_model", "version")

    def __init__(self, version: VersionInfo) -> None:
        self.version = version
        self._model = version.id.model

    def decode(self, body: Buffer | SlabSlice, length_header: bytes | None, headers: dict[str, str]) -> V2Request:
        """The request. Raises RequestError(INVALID_INPUT)."""
        if length_header is not None and length_header.strip() == RAW_REQUEST:
            return self._request((Part(NAME, BYTES_TYPE, body),), headers, is_binary=True)
        raw_json, raw = split(body, length_header)
        return self.read(parse_document(raw_json), raw, headers)

    def read(self, document: InferDocument, raw: Pieces | None, headers: dict[str, str]) -> V2Request:
        """The request of a document and the elements that came beside it. Raises RequestError(INVALID_INPUT)."""
        request_id = document.id or ""
        wishes = wishes_of(document, {NAME: "BYTES"}, self._model)
        if not 0 < len(document.inputs) <= MAX_PARTS:
            raise refused(request_id, f"model '{self._model}' takes from 1 to {MAX_PARTS} inputs")
        check_priority(document)
        sequence = sequence_of(document)
        told = {**(model_parameters(document) or {}), **(sequence_parameters(sequence) if sequence else {})}
        parts: dict[str, Part] = {}
        for item in document.inputs:
            if item.name in parts:
                raise refused(request_id, f"input '{shown(item.name)}' already exists in request")
            self._check(item, request_id)
            tensor = read_tensor(item, raw, self._model, request_id)
            parts[item.name] = Part(item.name, _content_type(item), tensor.data[0])
        check_all_taken(raw, self._model)
        parts = {name: Part(name, "", _text(value)) for name, value in told.items()} | parts
        request = self._request(tuple(parts.values()), headers, is_binary=binary_default(document))
        request.id, request.wishes = request_id, wishes
        request.allowed_s, request.sequence = allowed_s(document), sequence
        return request

    def _request(self, parts: tuple[Part, ...], headers: dict[str, str], *, is_binary: bool) -> V2Request:
        body = Body(parts, headers)
        return V2Request(self.version, DEFAULT_SIGNATURE, None, body, 1, BODY_GROUP, is_binary=is_binary)

    def _check(self, item: InputDocument, request_id: str) -> None:
        name, model = shown(item.name), self._model
        if len(item.name) > MAX_NAME_CHARACTERS:
            raise refused(request_id, f"the name of input '{name}' is too long for model '{model}'")
        if item.datatype != "BYTES":
            raise refused(
                request_id,
                f"inference input '{name}' data-type is '{shown(item.datatype)}', but model '{model}' expects 'BYTES'",
            )
        if not item.shape or any(size != 1 for size in item.shape):
            text = (
                f"unexpected shape for input '{name}' for model '{model}'. Expected [1], got {shape_text(item.shape)}"
            )
            raise refused(request_id, text)


def body_answer(response: InferResponse, result: BodyResult, request: V2Request) -> Answer:
    """What the model's code answered, as the one output; an answer with an error's status stays one."""
    if result.status >= 400:
        status = result.status if result.status < 600 else 500  # HTTP has no others
        return Answer(status, error_body(result.data.decode("utf-8", "replace")))
    return encode(response, request, body_output(result))


def body_output(result: BodyResult) -> dict[str, Array]:
    array = np.empty(1, object)
    array[0] = result.data
    return {NAME: array}


def _text(value: str | bool | int | float) -> bytes:
    """A parameter as handlers of the original know those of a query: text."""
    return value.encode() if isinstance(value, str) else orjson.dumps(value)


def _content_type(item: InputDocument) -> str:
    """As the input's parameter says; words that are no content type, such as `base64`, say how its data is written."""
    named = item.parameter("content_type")
    if isinstance(named, str) and "/" in named and len(named) <= MAX_NAME_CHARACTERS:
        return named
    return BYTES_TYPE if item.parameter(SIZE) is not None or named is not None else ""
