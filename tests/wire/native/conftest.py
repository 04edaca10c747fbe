"""The native wire and what its tests ask of it again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salver.operations.base import Exchange
from salver.types import InferRequest, VersionInfo
from salver.wire.native import NativeWire


@pytest.fixture
def wire() -> NativeWire:
    return NativeWire()


@pytest.fixture
def iris(version_info: Callable[..., VersionInfo]) -> VersionInfo:
    """Four measures in, three probabilities out."""
    return version_info([("x", "FP32", (-1, 4))], [("p", "FP32", (-1, 3))], name="iris", version=3)


@pytest.fixture
def decode(exchange: Callable[..., Exchange]) -> Callable[..., InferRequest]:
    """`decode(version, body, content_type, query=, **headers)`: what the default address makes of a body."""

    def run(
        version: VersionInfo,
        body: Any,
        content_type: str | None = "application/json",
        *,
        query: str = "",
        **headers: str,
    ) -> InferRequest:
        route = NativeWire(max_body_bytes=1_000_000).predict_route(b"POST", f"/api/v1/models/m/predict{query}".encode())
        assert route is not None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            named["Content-Type"] = content_type
        return route.decode(exchange(body, headers=named), version)

    return run
