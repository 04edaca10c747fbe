"""`generate` and `generate_stream` of a model, on the fast lane, and MLServer's `infer_stream`."""

from __future__ import annotations

from salver.errors import SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.inference import PREDICT
from salver.serving.payload.raw import as_bytes
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.headers import for_model
from salver.wire.openinference.addresses import InferAddress
from salver.wire.openinference.bodies import BodyPlan, body_answer, body_output
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.document import parse_document
from salver.wire.openinference.errors import Subject, error_answer, invalid
from salver.wire.openinference.generate import (
    IDENTITY_ONLY,
    NO_EVENTS,
    adds_nothing,
    as_event,
    event,
    generated,
    infer_document,
    is_infer_form,
    parts_document,
    read_object,
)
from salver.wire.openinference.infer import NAME, plan_for
from salver.wire.openinference.outputs import encode
from salver.wire.openinference.request import V2Request


class V2GenerateRoute:
    """A stream has an event for each part of an answer, one where a model answers whole; others have the whole."""

    wire = NAME
    operation = PREDICT.name
    label: str | None = None

    def __init__(self, address: InferAddress, verb: str) -> None:
        self.model = address.model
        self.version = address.version
        self._is_stream = verb.endswith("_stream")
        self._is_infer = verb.startswith("infer")
        self._plan: Plan | BodyPlan | None = None

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan = plan_for(version)
        encoding = exchange.header(b"content-encoding")
        if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
            raise invalid(IDENTITY_ONLY)
        raw = as_bytes(exchange.body)
        value = read_object(raw)
        specs = {} if isinstance(plan, BodyPlan) else {spec.name: spec for spec in plan.signature.inputs}
        is_generated = not (self._is_infer or is_infer_form(value, specs))
        if isinstance(plan, BodyPlan):
            document = parts_document(value) if is_generated else parse_document(raw)
            request = plan.read(document, None, for_model(exchange.headers))
        else:
            document = infer_document(value, plan.signature) if is_generated else parse_document(raw)
            request = plan.read(document, None)
        request.is_generated = is_generated
        if self._is_stream:
            request.want_parts()
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
        assert isinstance(request, V2Request)
        if self._is_stream and response.outputs == {}:
            return NO_EVENTS
        answer = self._answer(response, request)
        return as_event(answer) if self._is_stream else answer

    encode_part = encode

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
        return NO_EVENTS if adds_nothing(response) else self.encode(response, request, call)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return Answer(200, event(self.error(error, call).body), None)

    def _answer(self, response: InferResponse, request: V2Request) -> Answer:
        outputs, body = response.outputs, response.body
        if outputs is None:
            assert body is not None
            if body.status >= 400:
                return body_answer(response, body, request)
            outputs = body_output(body)
        return generated(response, request, outputs) if request.is_generated else encode(response, request, outputs)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        found = call.version if call is not None else 0
        return error_answer(error, Subject(self.model, found or self.version))

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""
