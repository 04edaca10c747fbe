"""What the tests of this wire share: the wire, its predict route, and requests as a real client sent them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from salver.errors import RequestError
from salver.operations.base import Exchange, PredictRoute
from salver.types import InferResponse, VersionInfo
from salver.wire.tfserving import TfServingWire
from salver.wire.tfserving.request import TfRequest

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def wire() -> TfServingWire:
    return TfServingWire(max_body_bytes=1 << 20)


@pytest.fixture
def recorded(exchange: Callable[..., Exchange]) -> Callable[[str], Exchange]:
    """`recorded("requests_b64")`: what the library requests 2.34 sent, as the edge hands it over."""

    def build(name: str) -> Exchange:
        head, _, body = (RECORDED / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        return exchange(body, method=method, target=target, headers=[tuple(line.split(b": ", 1)) for line in lines])

    return build


@pytest.fixture
def route(wire: TfServingWire) -> Callable[..., PredictRoute]:
    """`route()`: the route of m's default version; `route("/v1/models/m:classify")`: that of an address."""

    def build(target: str = "/v1/models/m:predict") -> PredictRoute:
        found = wire.predict_route(b"POST", target.encode())
        assert found is not None
        return found

    return build


@pytest.fixture
def decode(route: Callable[..., PredictRoute], exchange: Callable[..., Exchange]) -> Callable[..., TfRequest]:
    """`decode(version, {"instances": ...})`: the request that a document (or raw bytes) becomes."""

    def run(version: VersionInfo, body: Any, *, verb: str = "predict", headers: Any = ()) -> TfRequest:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        request = route(f"/v1/models/m:{verb}").decode(exchange(raw, headers=headers), version)
        assert isinstance(request, TfRequest)
        return request

    return run


@pytest.fixture
def refuse(decode: Callable[..., TfRequest], route: Callable[..., PredictRoute]) -> Callable[..., tuple[int, str]]:
    """`refuse(version, document)`: the status and error text that a caller hears."""

    def run(version: VersionInfo, body: Any, **how: Any) -> tuple[int, str]:
        with pytest.raises(RequestError) as caught:
            decode(version, body, **how)
        answer = route().error(caught.value, None)
        return answer.status, orjson.loads(answer.body)["error"]

    return run


@pytest.fixture
def encode(
    decode: Callable[..., TfRequest], route: Callable[..., PredictRoute], call: Callable[..., Any]
) -> Callable[..., Any]:
    """`encode(version, request, response)`: the answer's document, once as sent."""

    def run(version: VersionInfo, document: Any, outputs: Any, *, verb: str = "predict") -> Any:
        request = decode(version, document, verb=verb)
        response = InferResponse(version, outputs)
        answer = route(f"/v1/models/m:{verb}").encode(response, request, call())
        assert (answer.status, answer.content_type) == (200, "application/json")
        return orjson.loads(answer.body)

    return run
