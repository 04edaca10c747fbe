"""Small builders that the tests of all wires share: what the edge hands to a wire, filled in as briefly as possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from salver.access.permit import Principal
from salver.operations.base import Answer, Call, Credentials, Exchange, Request
from salver.operations.inference import PREDICT
from salver.types import (
    BatchSettings,
    ModelVersion,
    PayloadKind,
    Ranking,
    Signature,
    TensorSpec,
    VersionInfo,
)

Specs = Sequence[tuple[str, str, tuple[int, ...]]]


class FakeExchange:
    """An exchange at no door: it keeps its answers."""

    def __init__(
        self,
        body: Any = b"",
        *,
        method: bytes = b"POST",
        target: bytes = b"/",
        headers: Mapping[str, str] | Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        self.method = method
        self.target = target
        items = headers.items() if isinstance(headers, Mapping) else headers
        self.headers = [(_bytes(name), _bytes(value)) for name, value in items]
        self.body = body
        self.credentials = Credentials(None, "127.0.0.1", is_loopback=True)
        self.answers: list[Answer] = []

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def respond(self, answer: Answer) -> None:
        self.answers.append(answer)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    """`exchange(body, method=, target=, headers={name: value})`."""
    return FakeExchange


@pytest.fixture
def version_info() -> Callable[..., VersionInfo]:
    """`version_info(inputs=[(name, datatype, shape)], outputs=[...])`; without inputs: a version that takes bodies."""

    def build(
        inputs: Specs = (),
        outputs: Specs = (),
        *,
        name: str = "m",
        version: int = 1,
        ranking: Ranking | None = None,
        signatures: dict[str, Signature] | None = None,
        **changes: Any,
    ) -> VersionInfo:
        signature = Signature(inputs=_specs(inputs), outputs=_specs(outputs), ranking=ranking)
        is_body = not inputs and signatures is None
        fields: dict[str, Any] = {
            "id": ModelVersion(name, version),
            "runtime": "function",
            "payload": PayloadKind.BODY if is_body else PayloadKind.TENSORS,
            "signatures": {"serving_default": signature} if signatures is None else signatures,
            "batching": BatchSettings(),
            "has_batch_dimension": True,
            "is_idempotent": True,
        }
        return VersionInfo(**(fields | changes))

    return build


def _specs(rows: Specs) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, datatype, shape in rows)


@pytest.fixture
def call() -> Callable[..., Call]:
    """`call(model=, wire=, request_id=)`: one use of `models.predict`."""

    def build(*, model: str = "m", wire: str = "test", request_id: str = "request-1") -> Call:
        principal = Principal(id="anonymous", role="admin")
        return Call(PREDICT, principal, request_id, "127.0.0.1", model=model, wire=wire, started_at=0.0)

    return build


@pytest.fixture
def ordinary_request() -> Callable[..., Request]:
    """`ordinary_request("GET", "/models?limit=1", model="m")`: a request outside the prediction lane."""

    def build(method: str, target: str, *, body: bytes = b"", headers: Any = (), **path_params: str) -> Request:
        from urllib.parse import parse_qsl

        path, _, query = target.partition("?")
        return Request(
            method=method,
            path=path,
            raw_path=path,
            path_params=path_params,
            query=tuple(parse_qsl(query, keep_blank_values=True)),
            headers=tuple(headers),
            body=body,
            base_url="http://127.0.0.1:8080",
            request_id="request-1",
        )

    return build
