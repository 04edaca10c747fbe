"""What the tests of this wire share: the wire, its route, requests as documents, and answers taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import orjson
import pytest

from salver.errors import RequestError
from salver.operations.base import Answer, Exchange, PredictRoute
from salver.types import BodyResult, InferResponse, VersionInfo
from salver.wire.openinference import OpenInferenceWire
from salver.wire.openinference.binary import LENGTH_HEADER
from salver.wire.openinference.request import V2Request

MAX_BODY_BYTES = 1 << 20


class Told(NamedTuple):
    """An answer: its JSON, and the bytes behind it."""

    status: int
    document: Any
    raw: bytes


@pytest.fixture
def wire() -> OpenInferenceWire:
    return OpenInferenceWire(max_body_bytes=MAX_BODY_BYTES)


@pytest.fixture
def route(wire: OpenInferenceWire) -> Callable[..., PredictRoute]:
    """`route()`: the route of m's default version; `route("/v2/models/m/versions/2/infer")`: that of an address."""

    def build(target: str = "/v2/models/m/infer") -> PredictRoute:
        found = wire.predict_route(b"POST", target.encode())
        assert found is not None
        return found

    return build


@pytest.fixture
def decode(route: Callable[..., PredictRoute], exchange: Callable[..., Exchange]) -> Callable[..., V2Request]:
    """`decode(version, document, raw)`: the request of a document (or bytes) with raw tensors behind it."""

    def run(version: VersionInfo, document: Any, raw: bytes | None = None, **headers: str) -> V2Request:
        text = document if isinstance(document, bytes) else orjson.dumps(document)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if raw is not None:
            given.setdefault(LENGTH_HEADER, str(len(text)))
        request = route().decode(exchange(text + (raw or b""), headers=given), version)
        assert isinstance(request, V2Request)
        return request

    return run


@pytest.fixture
def refuse(decode: Callable[..., V2Request], route: Callable[..., PredictRoute]) -> Callable[..., tuple[int, str]]:
    """`refuse(version, document, raw)`: the status and error text that a caller hears."""

    def run(*given: Any, **headers: str) -> tuple[int, str]:
        with pytest.raises(RequestError) as caught:
            decode(*given, **headers)
        answer = route().error(caught.value, None)
        return answer.status, orjson.loads(answer.body)["error"]

    return run


@pytest.fixture
def answer(route: Callable[..., PredictRoute], call: Callable[..., Any]) -> Callable[..., Told]:
    """`answer(version, request, outputs)`: what a request is told for arrays by name, or for a body."""

    def run(version: VersionInfo, request: V2Request, outputs: Any) -> Told:
        is_body = isinstance(outputs, BodyResult)
        response = InferResponse(version, None, outputs) if is_body else InferResponse(version, outputs)
        return told(route().encode(response, request, call()))

    return run


def told(answer: Answer) -> Told:
    headers = dict(answer.headers)
    if LENGTH_HEADER not in headers:
        assert answer.content_type == "application/json"
        return Told(answer.status, orjson.loads(answer.body), b"")
    assert answer.content_type == "application/octet-stream"
    length = int(headers[LENGTH_HEADER])
    return Told(answer.status, orjson.loads(answer.body[:length]), answer.body[length:])


@pytest.fixture
def tensor() -> Callable[..., dict[str, Any]]:
    """`tensor("x", "FP32", [1, 2], [1, 2])`; a number in the place of values: so many bytes behind the JSON."""

    def build(name: str, datatype: str, shape: list[int], data: Any, **parameters: Any) -> dict[str, Any]:
        item: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if isinstance(data, int):
            parameters["binary_data_size"] = data
        else:
            item["data"] = data
        return item | ({"parameters": parameters} if parameters else {})

    return build


@pytest.fixture
def objects() -> Callable[..., Any]:
    """`objects(b"a", b"b")`: an output of BYTES."""

    def build(*elements: bytes) -> Any:
        array = np.empty(len(elements), object)
        array[:] = elements
        return array

    return build
