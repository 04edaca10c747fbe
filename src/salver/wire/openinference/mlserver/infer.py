"""`infer` in MLServer's dialect, with its other names `generate`, `infer_stream` and `generate_stream`."""

from __future__ import annotations

import uuid
from typing import Any

from salver.errors import SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.inference import PREDICT
from salver.serving.payload.raw import as_bytes, as_view
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.headers import for_model
from salver.wire.jsonbody import unpacked
from salver.wire.openinference.addresses import InferAddress
from salver.wire.openinference.bodies import BodyPlan, body_output
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.compression import compressed, wanted_encoding
from salver.wire.openinference.errors import Subject
from salver.wire.openinference.generate import NO_EVENTS, adds_nothing, as_event, event
from salver.wire.openinference.infer import plan_for
from salver.wire.openinference.mlserver.cloudevents import cloud_event
from salver.wire.openinference.mlserver.document import adapted, parse
from salver.wire.openinference.mlserver.errors import error_answer, text_body
from salver.wire.openinference.mlserver.outputs import encode
from salver.wire.openinference.request import V2Request

NAME = "mlserver"


def new_id() -> str:
    return str(uuid.uuid4())


class MlServerInferRoute:
    """Keeps what it has worked out for the version that it met last: a VersionInfo is replaced whole."""

    wire = NAME
    operation = PREDICT.name
    label: str | None = None

    def __init__(
        self, address: InferAddress, max_body_bytes: int, *, server_name: str = "salver", is_stream: bool = False
    ) -> None:
        self._server_name = server_name
        self.model = address.model
        self.version = address.version
        self._max_body_bytes = max_body_bytes
        self._is_stream = is_stream
        self._plan: Plan | BodyPlan | None = None

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE)."""
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan = plan_for(version)
        body: Any = exchange.body
        encoding = exchange.header(b"content-encoding")
        if encoding is not None:
            body = unpacked(as_view(body), encoding, self._max_body_bytes, takes_deflate=True)
        document = parse(as_bytes(body))
        if isinstance(plan, BodyPlan):
            request = plan.read(document, None, for_model(exchange.headers))
        else:
            request = plan.read(adapted(document, plan.signature), None)
        request.id = request.id or new_id()
        if self._is_stream:
            request.want_parts()
        else:
            request.encoding = wanted_encoding(exchange.header(b"accept-encoding"))
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
        assert isinstance(request, V2Request)
        outputs, body = response.outputs, response.body
        if self._is_stream and outputs == {}:
            return NO_EVENTS
        if outputs is None:
            assert body is not None
            if body.status >= 400:
                status = body.status if body.status < 600 else 500  # HTTP has no others
                return Answer(status, text_body(body.data.decode("utf-8", "replace")))
            outputs = body_output(body)
        if self._is_stream:
            return as_event(encode(response, request, outputs))
        headers = cloud_event(self._server_name, self.model, request.id)
        return compressed(encode(response, request, outputs, headers), request.encoding)

    encode_part = encode

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
        return NO_EVENTS if adds_nothing(response) else self.encode(response, request, call)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return Answer(200, event(self.error(error, call).body), None)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        found = call.version if call is not None else 0
        return error_answer(error, Subject(self.model, found or self.version), self.version)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""
