"""A prediction address on the fast lane: `POST /v1/models/{name}[/versions/N|/labels/L]:predict`."""

from __future__ import annotations

from typing import Any

import orjson

from salver.errors import Code, SalverError
from salver.operations.base import Answer, Call, Exchange
from salver.types import InferRequest, InferResponse, SlabSlice, VersionInfo
from salver.wire.jsonbody import Buffer, unpacked
from salver.wire.tfserving.addresses import Address
from salver.wire.tfserving.body import body_answer
from salver.wire.tfserving.codec import decode_predict
from salver.wire.tfserving.errors import error_answer, servable_text
from salver.wire.tfserving.outputs import encode_outputs
from salver.wire.tfserving.plan import ShortRoad, short_road
from salver.wire.tfserving.request import TfRequest

GZIP_MAGIC = b"\x1f\x8b"
MAX_PLANS = 16
Headers = tuple[tuple[str, str], ...]


class LaneRoute:
    """What the prediction addresses have in common: what they name, how a body is read, how an error looks."""

    wire = "tfserving"
    operation = "models.predict"

    def __init__(self, address: Address, max_body_bytes: int, headers: Headers = ()) -> None:
        self.model = address.model
        self.version = address.version
        self.label = address.label
        self._max_body_bytes = max_body_bytes
        self._headers = headers

    def error(self, error: SalverError, call: Call | None) -> Answer:  # noqa: ARG002  the protocol has no request id
        return error_answer(error, self._known_text(error.code), self._headers)

    def _known_text(self, code: Code) -> str | None:
        """The original's text for a name that leads nowhere."""
        if code is Code.LABEL_NOT_FOUND:
            return f"Unrecognized servable version label: {self.label}"
        is_missing = code in (Code.MODEL_NOT_FOUND, Code.VERSION_NOT_FOUND, Code.MODEL_NOT_READY)
        return servable_text(self.model, self.version) if is_missing else None

    def _document(self, exchange: Exchange) -> bytes:
        """The body's JSON, inflated where the client compressed it. Raises RequestError."""
        body: Any = exchange.body
        raw: Buffer = body.view if type(body) is SlabSlice else body
        return bytes(unpacked(raw, exchange.header(b"content-encoding"), self._max_body_bytes))


class TfPredictRoute(LaneRoute):
    """Predictions in row or column form."""

    def __init__(self, address: Address, max_body_bytes: int, headers: Headers = ()) -> None:
        super().__init__(address, max_body_bytes, headers)
        self._plans: dict[int, tuple[VersionInfo, ShortRoad | None]] = {}
        """By identity: each version is held here, so its `id` is not given to another."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | UNSUPPORTED_MEDIA_TYPE | PAYLOAD_TOO_LARGE).

        A compressed body is no JSON to the short road, so only the general one looks at the headers.
        """
        plan = self._plans.get(id(version))
        road = self._compile(version) if plan is None else plan[1]
        if road is not None:
            body: Any = exchange.body
            request = road(body.view if type(body) is SlabSlice else body)
            if request is not None:
                return request
        return decode_predict(self._document(exchange), version)

    def encode(self, response: InferResponse, request: InferRequest, call: Call) -> Answer:  # noqa: ARG002
        """Raises RequestError(INVALID_INPUT) when the outputs do not fit the row form."""
        assert isinstance(request, TfRequest)
        ...
