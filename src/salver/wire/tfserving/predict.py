"""`POST /v1/models/{name}[/versions/N|/labels/L]:predict`, on the fast lane."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from salver.errors import SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.tfserving.addresses import Address
from salver.wire.tfserving.body import body_answer
from salver.wire.tfserving.burst import TfBurst
from salver.wire.tfserving.codec import decode_predict
from salver.wire.tfserving.errors import Headers
from salver.wire.tfserving.lane import json_body, lane_error, sent_body
from salver.wire.tfserving.outputs import encode_outputs
from salver.wire.tfserving.plan import DefaultPlan, default_plan
from salver.wire.tfserving.request import TfRequest

MAX_PLANS = 16
"""Versions whose short road one route keeps: more than ever share an address at a time."""
NUMPY = orjson.OPT_SERIALIZE_NUMPY


class Plans(NamedTuple):
    """What was worked out for a version: its short road, for one request and for many, if it has one."""

    version: VersionInfo
    plan: DefaultPlan | None
    burst: TfBurst | None


class TfPredictRoute:
    """Predictions in row or column form."""

    wire = "tfserving"
    operation = "models.predict"

    def __init__(self, address: Address, max_body_bytes: int, headers: Headers) -> None:
        self.model = address.model
        self.version = address.version
        self.label = address.label
        self._address = address
        self._max_body_bytes = max_body_bytes
        self._headers = headers
        self._plans: dict[int, Plans] = {}
        """By identity. Each version is held here, so that its `id` is not given to another one."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE).

        A compressed body is no JSON to the short road, so only the general one looks at the headers.
        """
        known = self._plans.get(id(version)) or self._compile(version)
        request = None if known.plan is None else known.plan.decode(sent_body(exchange))
        return decode_predict(json_body(exchange, self._max_body_bytes), version) if request is None else request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(INVALID_INPUT) when the outputs do not fit the row form."""
        assert isinstance(request, TfRequest)
        outputs = response.outputs
        if outputs is None:
            assert response.body is not None
            return body_answer(response.body, self._headers, is_row=request.is_row)
        if len(outputs) != 1:
            return Answer(200, encode_outputs(outputs, is_row=request.is_row), "application/json", self._headers)
        (array,) = outputs.values()
        try:
            body = orjson.dumps({"predictions" if request.is_row else "outputs": array}, None, NUMPY)
        except TypeError:  # strings, single values, another byte order: the general road knows them
            body = encode_outputs(outputs, is_row=request.is_row)
        return Answer(200, body, "application/json", self._headers)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return lane_error(error, self._address, self._headers, call)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> TfBurst | None:
        if exchange.header(b"content-encoding") is not None:
            return None
        return (self._plans.get(id(version)) or self._compile(version)).burst

    def _compile(self, version: VersionInfo) -> Plans:
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        plan = default_plan(version)
        plans = self._plans[id(version)] = Plans(version, plan, None if plan is None else TfBurst(plan, self._headers))
        return plans
