"""Many predictions at once: the short road of each body, one request of all rows, and answers cut from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from salver.operations.base import Answer
from salver.types import InferRequest, InferResponse
from salver.wire.jsonrows import parts, row_texts, shared_out
from salver.wire.tfserving.errors import Headers
from salver.wire.tfserving.outputs import encode_outputs
from salver.wire.tfserving.plan import DefaultPlan
from salver.wire.tfserving.request import TfRequest


class TfBurst:
    """Bodies in the row form, as JSON that nobody compressed, for one version."""

    names_requests = False

    def __init__(self, plan: DefaultPlan, headers: Headers) -> None:
        self._plan = plan
        self._answer = Answer(200, b"", "application/json", headers)

    def decode(self, bodies: Sequence[Any]) -> tuple[TfRequest, list[int]] | None:
        return self._plan.decode_rows(bodies)

    def encode(self, response: InferResponse, request: InferRequest, rows: list[int]) -> tuple[Answer, list[bytes]]:
        outputs = response.outputs
        assert outputs is not None
        if len(outputs) == 1:
            (array,) = outputs.values()
            texts = row_texts(array)
            if texts is not None:
                return self._answer, [b'{"predictions":[%b]}' % text for text in shared_out(texts, rows)]
        return self._answer, [encode_outputs(part, is_row=True) for part in parts(outputs, rows)]
