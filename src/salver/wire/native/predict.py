"""One prediction address: what its bytes mean, and how its answers and errors look."""

from __future__ import annotations

from salver.errors import Code, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.native.addresses import PredictAddress
from salver.wire.native.answers import AnswerPlan
from salver.wire.native.burst import NativeBurst
from salver.wire.native.codec import BodyPlan, NativeRequest, Plan, plan_for
from salver.wire.native.errors import error_answer
from salver.wire.native.events import adds_nothing, event, event_answer
from salver.wire.native.queries import policy_of


class NativePredictRoute:
    """Keeps what it has worked out for the version that it met last: a VersionInfo is replaced whole."""

    wire = "native"
    operation = "models.predict"

    def __init__(self, address: PredictAddress, max_body_bytes: int) -> None:
        self.model = address.model
        self.version = address.version
        self.label = address.label
        self._address = address
        self._signature_name = address.signature
        self._max_body_bytes = max_body_bytes
        self._plan: Plan | BodyPlan | None = None
        self._answers: AnswerPlan | None = None
        self._bursts: dict[int, NativeBurst] = {}
        """By the identity of the reader, for the plan that is kept."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | UNSUPPORTED_MEDIA_TYPE | PAYLOAD_TOO_LARGE |
        NOT_ACCEPTABLE), or TakesLong."""
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan_for(version)
        return plan.decode(exchange.body, exchange.headers)

    def _plan_for(self, version: VersionInfo) -> Plan | BodyPlan:
        policy = policy_of(self._address)
        plan = self._plan = plan_for(version, self._signature_name, self._max_body_bytes, policy)
        self._bursts.clear()
        return plan

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> NativeBurst | None:
        signature = version.signature(self._signature_name)
        if signature is None or signature.ranking is not None or self._address.is_invocations:
            return None
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan_for(version)
        if not isinstance(plan, Plan):
            return None
        reader = plan.quick_reader(exchange.headers)
        if reader is None:
            return None
        return self._bursts.setdefault(id(reader), NativeBurst(plan, reader))

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID), or TakesLong."""
        assert isinstance(request, NativeRequest)
        answers = self._answers
        # The answer's own version counts: another may have gone live while this one was asked.
        if answers is None or answers.version is not response.version:
            answers = self._answers = self._answers_of(response.version)
        return answers.encode(response, request, call.request_id)

    def encode_part(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID)."""
        return self.encode(response, request, call)

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID)."""
        return event_answer(b"", ()) if adds_nothing(response) else self.encode(response, request, call)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return Answer(200, event(self.error(error, call).body, b"error"))

    def _answers_of(self, version: VersionInfo) -> AnswerPlan:
        signature = version.signature(self._signature_name)
        return AnswerPlan(version, signature.ranking if signature else None, self._address.is_invocations)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        allow = ("POST",) if error.code is Code.METHOD_NOT_ALLOWED else ()
        return error_answer(error, "" if call is None else call.request_id, allow)
