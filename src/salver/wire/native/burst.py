"""Many predictions at once: small JSON, or raw bytes, in one request; and answers cut from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from salver.operations.base import Answer
from salver.types import InferRequest, InferResponse
from salver.wire.jsonrows import row_texts, shared_out
from salver.wire.jsontensors import dumps, encode_array
from salver.wire.native.codec import NativeRequest, Plan
from salver.wire.native.fast import Reader


class NativeBurst:
    """Bodies of one kind for one version, answered as JSON."""

    names_requests = True

    def __init__(self, plan: Plan, reader: Reader) -> None:
        self._plan = plan
        self._reader = reader
        id = plan.version.id
        self._head = b'{"model":%b,"version":%d,"outputs":{' % (orjson.dumps(id.model), id.version)
        self._answers: dict[str, Answer] = {}

    def decode(self, bodies: Sequence[Any]) -> tuple[NativeRequest, list[int]] | None:
        return self._plan.decode_all(self._reader, bodies)

    def encode(self, response: InferResponse, request: InferRequest, rows: list[int]) -> tuple[Answer, list[bytes]]:
        assert isinstance(request, NativeRequest)
        assert response.outputs is not None
        head = self._head
        bodies = [head] * len(rows)
        for name, array in response.outputs.items():
            texts = row_texts(array)
            if texts is None:
                texts = [dumps(encode_array(array[row : row + 1]))[1:-1] for row in range(len(array))]
            start = orjson.dumps(name) + b":["
            bodies = [
                b"%b%b%b]," % (body, start, text) for body, text in zip(bodies, shared_out(texts, rows), strict=True)
            ]
        return self._answer(request.understood), [body.rstrip(b",") + b"}}" for body in bodies]

    def _answer(self, understood: str) -> Answer:
        answer = self._answers.get(understood)
        if answer is None:
            headers = (("Salver-Understood", understood),)
            answer = self._answers[understood] = Answer(200, b"", "application/json", headers)
        return answer
