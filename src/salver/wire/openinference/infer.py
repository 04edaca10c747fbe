"""`POST /v2/models/{model}[/versions/{n}]/infer`, on the fast lane."""

from __future__ import annotations

from typing import Any

from salver.errors import SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.inference import PREDICT
from salver.serving.payload.raw import as_view
from salver.types import InferRequest, InferResponse, PayloadKind, VersionInfo
from salver.wire.headers import for_model
from salver.wire.jsonbody import unpacked
from salver.wire.openinference.addresses import InferAddress
from salver.wire.openinference.binary import LENGTH_HEADER
from salver.wire.openinference.bodies import BodyPlan, body_answer
from salver.wire.openinference.burst import V2Burst, has_bursts
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.compression import compressed, wanted_encoding
from salver.wire.openinference.errors import Subject, error_answer
from salver.wire.openinference.outputs import encode
from salver.wire.openinference.request import V2Request

NAME = "openinference"
LENGTH_NAME = LENGTH_HEADER.lower().encode()


class V2InferRoute:
    """Keeps what it has worked out for the version that it met last: a VersionInfo is replaced whole."""

    wire = NAME
    operation = PREDICT.name
    label: str | None = None

    def __init__(self, address: InferAddress, max_body_bytes: int) -> None:
        self.model = address.model
        self.version = address.version
        self._max_body_bytes = max_body_bytes
        self._plan: Plan | BodyPlan | None = None
        self._bursts: dict[str, V2Burst] = {}
        """By what answers may be compressed with."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE)."""
        plan = self._planned(version)
        body: Any = exchange.body
        encoding = exchange.header(b"content-encoding")
        if encoding is not None:
            body = unpacked(as_view(body), encoding, self._max_body_bytes, takes_deflate=True)
        length = exchange.header(LENGTH_NAME)
        if isinstance(plan, BodyPlan):
            request = plan.decode(body, length, for_model(exchange.headers))
        else:
            request = plan.decode(body, length)
        request.encoding = wanted_encoding(exchange.header(b"accept-encoding"))
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
        assert isinstance(request, V2Request)
        if response.outputs is not None:
            return compressed(encode(response, request, response.outputs), request.encoding)
        assert response.body is not None
        return compressed(body_answer(response, response.body, request), request.encoding)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        found = call.version if call is not None else 0
        return error_answer(error, Subject(self.model, found or self.version))

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> V2Burst | None:
        if exchange.header(b"content-encoding") is not None or exchange.header(LENGTH_NAME) is not None:
            return None
        if version.payload is PayloadKind.BODY or not has_bursts(version):
            return None
        plan = self._planned(version)
        assert isinstance(plan, Plan)
        encoding = wanted_encoding(exchange.header(b"accept-encoding"))
        return self._bursts.setdefault(encoding, V2Burst(plan, encoding))

    def _planned(self, version: VersionInfo) -> Plan | BodyPlan:
        """What is worked out for the version. Raises RequestError(SIGNATURE_NOT_FOUND)."""
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan = plan_for(version)
            self._bursts = {}
        return plan


def plan_for(version: VersionInfo) -> Plan | BodyPlan:
    return BodyPlan(version) if version.payload is PayloadKind.BODY else Plan(version)
