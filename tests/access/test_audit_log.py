"""Writing the audit log without holding anybody up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import inf

import pytest

from salver.access.audit import MAX_DETAIL, MAX_TEXT, MAX_WAITING, AuditEvent, AuditLog, audit_line
from salver.access.denials import Denials
from salver.errors import Code, SalverError
from salver.store.base import AuditLine
from salver.store.memory import MemoryStore


class SlowStore(MemoryStore):
    """A store whose disk hangs until `go` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.is_asked = threading.Event()

    def append_audit(self, line: AuditLine) -> AuditLine:
        self.is_asked.set()
        self.go.wait()
        return super().append_audit(line)


class FullStore(MemoryStore):
    """A store whose disk is full."""

    def append_audit(self, line: AuditLine) -> AuditLine:
        raise SalverError(Code.OVERLOADED, "The disk is full.")


def change(detail: str = "") -> AuditEvent:
    return AuditEvent(principal="local:0", operation="keys.create", outcome="OK", detail=detail)


def refusal(principal: str = "key:k") -> AuditEvent:
    return AuditEvent(
        principal=principal,
        operation="models.predict",
        outcome="PERMISSION_DENIED",
        is_allowed=False,
        scope="model/iris",
    )


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def log(store: MemoryStore) -> Iterator[AuditLog]:
    log = AuditLog(store, clock=lambda: 1000.0)
    yield log
    log.close()


def test_a_change_is_in_the_store_when_record_returns(store: MemoryStore, log: AuditLog) -> None:
    line = log.record(change("made key:abc"))

    assert store.audit(10) == (line,)
    assert (line.sequence, line.at, line.decision, line.scope) == (1, 1000.0, "allowed", "server")
    assert (line.principal, line.operation, line.outcome, line.detail) == (
        "local:0",
        "keys.create",
        "OK",
        "made key:abc",
    )


def test_a_change_that_cannot_be_written_is_an_error() -> None:
    log = AuditLog(FullStore())

    with pytest.raises(SalverError):
        log.record(change())
    log.close()


def test_a_refusal_is_in_the_store_when_the_log_is_closed(store: MemoryStore) -> None:
    log = AuditLog(store, clock=lambda: 1000.0)
    log.note_denial(refusal())
    log.close()

    (line,) = store.audit(10)
    assert (line.decision, line.outcome, line.scope) == ("denied", "PERMISSION_DENIED", "model/iris")


def test_a_flood_of_the_same_refusal_is_two_lines(store: MemoryStore) -> None:
    log = AuditLog(store)
    for _ in range(1000):
        log.note_denial(refusal())
    log.close()

    assert [line.detail for line in reversed(store.audit(10))] == ["", "999 more like this"]
    assert log.lost == 0


def test_counts_are_written_when_their_window_ends(store: MemoryStore) -> None:
    log = AuditLog(store, denials=Denials(window_s=0.01))
    log.note_denial(refusal())
    log.note_denial(refusal())
    assert log.lost == 0

    deadline = threading.Event()
    while len(store.audit(10)) < 2 and not deadline.wait(0.005):
        pass
    log.close()
    assert [line.detail for line in reversed(store.audit(10))] == ["", "1 more like this"]


def test_a_hanging_disk_holds_up_no_caller_and_fills_no_memory() -> None:
    store = SlowStore()
    log = AuditLog(store, denials=Denials(max_kinds=10 * MAX_WAITING))
    log.note_denial(refusal("first"))
    store.is_asked.wait()

    for number in range(MAX_WAITING + 7):
        log.note_denial(refusal(f"key:{number}"))

    assert log.lost == 7
    store.go.set()
    log.close()
    assert len(store.audit(10 * MAX_WAITING)) == 1 + MAX_WAITING


def test_a_full_disk_is_counted_and_ends_nothing() -> None:
    log = AuditLog(FullStore())
    log.note_denial(refusal("a"))
    log.note_denial(refusal("b"))
    log.close()

    assert log.lost == 2


def test_closing_an_idle_log_ends_its_thread(store: MemoryStore) -> None:
    AuditLog(store).close()

    assert "audit" not in {thread.name for thread in threading.enumerate()}


def test_text_from_callers_is_cut_and_freed_of_control_characters() -> None:
    event = AuditEvent(
        principal="p" * 1000,
        operation="o",
        outcome="OK",
        request_id="a\r\nb\x1b[31m\x00\ud800é",
        detail="d" * 1000,
    )
    line = audit_line(event, 0.0)

    assert len(line.principal) == MAX_TEXT
    assert len(line.detail) == MAX_DETAIL
    assert line.request_id == "a��b�[31m��é"
    assert inf != line.at
