"""Calls of the gRPC protocol, from message to request and from outputs to message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from salver.errors import RequestError
from salver.operations.base import Answer, Request
from salver.operations.methods import GrpcStatus, JoinedMethod, OrdinaryMethod, PredictMethod
from salver.types import BodyResult, InferResponse, VersionInfo
from salver.wire.tfserving.grpc import MODEL, PREDICTION, TfServingGrpcWire

WIRE = TfServingGrpcWire(max_body_bytes=1 << 20)
METHODS = {method.path: method for method in WIRE.methods}
CALL = SimpleNamespace(request_id="id", version=1)


def request(body: bytes) -> Request:
    return Request(method="POST", path="", raw_path="", body=body)


class Calls:
    """`Predict`, `Classify` and the others by name."""

    of_version_1 = CALL

    def open(self, name: str, message: Any) -> Any:
        method = METHODS[PREDICTION + name]
        assert isinstance(method, (PredictMethod, JoinedMethod))
        body = message if isinstance(message, bytes) else message.SerializeToString()
        return method.open(request(body))

    def decode(self, name: str, message: Any, version: VersionInfo) -> Any:
        return self.open(name, message).decode(None, version)

    def refused(self, name: str, message: Any, version: VersionInfo | None) -> tuple[GrpcStatus, str]:
        """Status and text of the error; without a version, of the message itself."""
        route: Any = WIRE
        try:
            route = self.open(name, message)
            route.decode(None, version)
        except RequestError as error:
            return told(route.error(error, CALL) if route is not WIRE else WIRE.error(error))
        raise AssertionError("it was not refused")

    def answer(self, name: str, message: Any, version: VersionInfo, outputs: Mapping[str, Any] | BodyResult) -> Any:
        """The bytes of the answer when the model gives these outputs, or this result."""
        route = self.open(name, message)
        asked = route.decode(None, version)
        body = outputs if isinstance(outputs, BodyResult) else None
        response = InferResponse(version, None if body is not None else dict(outputs), body)  # type: ignore[call-overload]
        encoded = route.encode(response, asked, CALL)
        assert encoded.status == GrpcStatus.OK
        return encoded.body

    def ordinary(self, name: str) -> OrdinaryMethod:
        method = METHODS.get(PREDICTION + name) or METHODS[MODEL + name]
        assert isinstance(method, OrdinaryMethod)
        return method


def told(answer: Answer) -> tuple[GrpcStatus, str]:
    return GrpcStatus(answer.status), answer.body.decode()


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def as_request() -> Callable[[bytes], Request]:
    return request
