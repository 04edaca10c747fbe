"""Builders for what a store keeps."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from salver.store.base import AuditLine, KeyRecord


@pytest.fixture
def key() -> Callable[..., KeyRecord]:
    """Makes a record; what a test does not name is of no matter to it."""

    def make(id: str = "k1", **fields: object) -> KeyRecord:
        plain = {
            "id": id,
            "label": "tests",
            "role": "user",
            "models": (),
            "digest": id.encode() * 4,
            "created_at": 1000.0,
            "created_by": "local:0",
        }
        return KeyRecord(**(plain | fields))  # type: ignore[arg-type]  # the tests name real fields

    return make


@pytest.fixture
def line() -> Callable[..., AuditLine]:
    """Makes an audit line that no store has numbered."""

    def make(detail: str = "", **fields: object) -> AuditLine:
        plain = {
            "sequence": 0,
            "at": 1000.25,
            "principal": "key:k1",
            "operation": "keys.create",
            "scope": "server",
            "decision": "allowed",
            "outcome": "OK",
            "request_id": "r1",
            "peer": "192.0.2.1",
            "detail": detail,
            "digest": "",
        }
        return AuditLine(**(plain | fields))  # type: ignore[arg-type]  # the tests name real fields

    return make
