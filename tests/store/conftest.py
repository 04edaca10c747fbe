"""The stores, and builders for what they keep."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from salver.store.base import AuditLine, KeyRecord, ModelRecord, Store, VersionRecord
from salver.store.memory import MemoryStore
from salver.store.sql import open_store


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store, new and empty."""
    store: Store
    match request.param:
        case "memory":
            store = MemoryStore()
        case "sqlite":
            store = open_store(tmp_path / "state.db")
        case _:
            store = open_store(request.getfixturevalue("postgres_url"))
    yield store
    store.close()


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store can be opened and opened again; nothing is there yet."""
    if request.param == "sqlite":
        return str(tmp_path / "state.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


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


@pytest.fixture
def model() -> Callable[..., ModelRecord]:
    """Makes a record of what should be served under a name."""

    def make(name: str = "iris", **fields: object) -> ModelRecord:
        plain = {"name": name, "updated_at": 1000.0, "updated_by": "key:k1"}
        return ModelRecord(**(plain | fields))  # type: ignore[arg-type]  # the tests name real fields

    return make


@pytest.fixture
def version() -> Callable[..., VersionRecord]:
    """Makes a record of a published version."""

    def make(model: str = "iris", number: int = 1, **fields: object) -> VersionRecord:
        plain = {
            "model": model,
            "version": number,
            "digest": f"{number:064x}",
            "size_bytes": 1000 + number,
            "source": "push",
            "created_at": 1000.0,
            "created_by": "key:k1",
        }
        return VersionRecord(**(plain | fields))  # type: ignore[arg-type]  # the tests name real fields

    return make
