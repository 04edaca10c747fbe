"""The operations of the control half, and the order in which a server ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from salver.access.administration import Administration
from salver.access.audit import AuditEvent, AuditLog
from salver.access.permit import Principal
from salver.errors import Code, SalverError
from salver.models.wanted import all_wanted
from salver.operations import access, server
from salver.operations.base import Home
from salver.processes.base import ControlRequest
from salver.processes.control import ControlHalf
from salver.processes.queries import RESULTS
from salver.replicas.base import ReplicaSettings, ReplicaSpec
from salver.replicas.environments.memory import MemoryEnvironments
from salver.replicas.memory import MemoryEngine, MemoryWorker
from salver.store.base import AuditLine, KeyRecord
from salver.store.memory import MemoryStore
from salver.telemetry import logging as event_log
from salver.telemetry.counters import Report, RequestCount, RequestKey
from salver.types import BatchSettings, ModelVersion
from told_front_end import ToldFrontEnd
from virtual_time import run, settle, until

ADMIN = Principal(id="local:0", role="admin")
SPEC = ReplicaSpec(
    id=ModelVersion("m", 1), runtime="echo", path="/m", folder="/", python="python3", batching=BatchSettings()
)


class Stage:
    """A control half on twins: store, engine and one front end."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.audit = AuditLog(self.store)
        self.engine = MemoryEngine(MemoryWorker.become_ready)
        self.control = ControlHalf(
            self.engine,
            ReplicaSettings(),
            Administration(self.store),
            self.audit,
            lambda status: None,
            lambda spec, failure: failure,
            MemoryEnvironments(),
        )
        self.front_end = ToldFrontEnd()

    async def ask(self, operation: str, parameters: Any, principal: Principal = ADMIN) -> Any:
        raw = await self.control.operate(
            ControlRequest(
                operation=operation,
                parameters=msgspec.Raw(msgspec.msgpack.encode(parameters)),
                principal=principal,
                request_id="r1",
                peer="192.0.2.1",
                wire="native",
            )
        )
        return msgspec.msgpack.decode(raw, type=RESULTS[operation])

    async def create_key(self, label: str = "tests", role: str = "user", **fields: Any) -> access.CreatedKey:
        created: access.CreatedKey = await self.ask("keys.create", access.CreateKey(label=label, role=role, **fields))
        return created

    @property
    def audited(self) -> list[tuple[str, str, str]]:
        """Operation, outcome and decision of each line, oldest first."""
        return [(line.operation, line.outcome, line.decision) for line in reversed(self.store.audit(100))]


def play(story: Callable[[Stage], Awaitable[None]]) -> None:
    async def whole() -> None:
        stage = Stage()
        try:
            await stage.control.front_ends.add(stage.front_end)
            await story(stage)
            await stage.control.stop(drain_delay_s=0.0, drain_timeout_s=0.0)
        finally:
            stage.audit.close()

    run(whole())


def test_every_operation_of_the_control_half_has_a_body() -> None:
    wanted = {row.name for row in (*access.OPERATIONS, *server.OPERATIONS) if row.home is Home.CONTROL}
    assert wanted <= set(RESULTS)

    async def story(stage: Stage) -> None:
        assert wanted == set(stage.control._operations)

    play(story)


def test_a_new_key_is_audited_and_known_to_front_ends_before_it_is_shown() -> None:
    async def story(stage: Stage) -> None:
        created = await stage.create_key()
        assert created.record.id in created.key
        assert [record.id for record in stage.front_end.keys] == [created.record.id]
        (line,) = await stage.ask("audit.read", access.ReadAudit())
        assert (line.operation, line.outcome, line.principal, line.peer, line.request_id) == (
            "keys.create",
            "OK",
            "local:0",
            "192.0.2.1",
            "r1",
        )
        assert "role=user" in line.detail
        assert created.key not in line.detail
        assert await stage.ask("keys.list", access.ListKeys()) == (created.record,)

    play(story)


def test_a_revoked_key_is_refused_by_front_ends_before_its_revocation_is_told() -> None:
    async def story(stage: Stage) -> None:
        created = await stage.create_key()
        revoked: KeyRecord = await stage.ask("keys.revoke", access.RevokeKey(id=created.record.id))
        assert revoked.revoked_at is not None
        assert stage.front_end.keys == (revoked,)
        assert stage.audited[-1] == ("keys.revoke", "OK", "allowed")

    play(story)


def test_a_change_that_is_refused_is_audited_too() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(SalverError):
            await stage.ask("keys.revoke", access.RevokeKey(id="nobody"))
        weak = Principal(id="key:k", role="viewer")
        with pytest.raises(SalverError):
            await stage.ask("keys.create", access.CreateKey(label="x", role="admin"), weak)
        assert stage.audited == [
            ("keys.revoke", "INVALID_INPUT", "allowed"),
            ("keys.create", "PERMISSION_DENIED", "denied"),
        ]

    play(story)


def test_a_change_that_breaks_is_never_audited_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(stage: Stage) -> None:
        def break_down(*_: Any) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(stage.store, "revoke_key", break_down)
        with pytest.raises(ZeroDivisionError):
            await stage.ask("keys.revoke", access.RevokeKey(id="k"))
        assert stage.audited == [("keys.revoke", "INTERNAL", "allowed")]

    play(story)


def test_a_key_that_was_revoked_is_refused_even_when_the_audit_could_not_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(stage: Stage) -> None:
        created = await stage.create_key()

        def refuse(line: AuditLine) -> AuditLine:
            raise SalverError(Code.INTERNAL, "The disk is full.")

        monkeypatch.setattr(stage.store, "append_audit", refuse)
        with pytest.raises(SalverError, match="disk is full"):
            await stage.ask("keys.revoke", access.RevokeKey(id=created.record.id))
        assert stage.front_end.keys[0].revoked_at is not None

    play(story)


def test_metrics_are_the_sum_over_front_ends() -> None:
    async def story(stage: Stage) -> None:
        key = RequestKey("models.predict", "m", 1, "native")
        other = ToldFrontEnd()
        await stage.control.front_ends.add(other)
        for front_end, count in ((stage.front_end, 3), (other, 4)):
            front_end.counted = Report(requests=((key, RequestCount(codes={"OK": count})),), connections=count)
        page = (await stage.ask("server.metrics", server.GetMetrics())).decode()
        (line,) = [line for line in page.splitlines() if line.startswith("salver_requests_total{")]
        assert line.endswith(" 7.0")
        assert "salver_connections 7.0" in page

    play(story)


def test_an_operation_that_does_not_exist_is_an_error_of_ours() -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(SalverError, match=r"no operation models\.paint") as caught:
            await stage.control.operate(
                ControlRequest(
                    operation="models.paint",
                    parameters=msgspec.Raw(b"\x80"),
                    principal=ADMIN,
                    request_id="r",
                    peer="",
                    wire="",
                )
            )
        assert caught.value.code is Code.INTERNAL

    play(story)


def test_a_denial_goes_to_the_audit_log() -> None:
    async def story(stage: Stage) -> None:
        event = AuditEvent(principal="anonymous", operation="keys.list", outcome="UNAUTHENTICATED", is_allowed=False)
        stage.control.denied(event)
        await until(lambda: stage.audited)
        assert stage.audited == [("keys.list", "UNAUTHENTICATED", "denied")]

    play(story)


def test_batches_are_cancelled_and_workers_replaced_by_their_ids() -> None:
    async def story(stage: Stage) -> None:
        stage.control.reconciler.want(all_wanted([SPEC]))
        stage.control.reconciler.start()
        await settle()
        (worker,) = stage.engine.workers
        assert set(stage.front_end.links) == {worker.id}
        stage.control.cancel_batch(worker.id, 1, 9)
        stage.control.cancel_batch("nobody", 1, 9)
        await settle()
        assert worker.cancelled == [(1, 9)]
        stage.control.replace_worker("nobody", "it is late")
        stage.control.replace_worker(worker.id, "it is late")
        await settle()
        assert not worker.is_alive
        assert set(stage.front_end.links) == {"m-1-2"}

    play(story)


def test_the_end_comes_in_order_and_front_ends_have_their_workers_until_they_have_finished() -> None:
    class Watching(ToldFrontEnd):
        async def finish(self, timeout_s: float) -> None:
            self.done.append(f"finish with {len(self.links)}")

    async def story(stage: Stage) -> None:
        front_end = Watching()
        await stage.control.front_ends.add(front_end)
        stage.control.reconciler.want(all_wanted([SPEC]))
        stage.control.reconciler.start()
        await settle()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await stage.control.stop(drain_delay_s=5.0, drain_timeout_s=30.0)
        assert loop.time() - began == pytest.approx(5.0)
        assert front_end.done[-2:] == ["drain", "finish with 1"]
        assert stage.engine.living == []
        front_end.close()

    play(story)


def test_a_level_of_the_log_is_audited_and_in_force_everywhere() -> None:
    before = event_log.level()

    async def story(stage: Stage) -> None:
        changed = await stage.ask("server.set_logging", server.SetLogging({"debug": True}))
        assert (changed.level, event_log.level(), stage.front_end.done[-1]) == ("debug", "debug", "set_log_level debug")
        assert stage.audited[-1] == ("server.set_logging", "OK", "allowed")
        late = ToldFrontEnd()
        await stage.control.front_ends.add(late)
        assert "set_log_level debug" in late.done

    try:
        play(story)
    finally:
        event_log.set_level(before)
