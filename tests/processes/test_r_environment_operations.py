"""What is asked of environments of R, in the control half."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import Raw, msgpack

from environment_bench import Bench, play
from r_repository import needs_r, r_version, renv_lock
from salver.access.audit import AuditLog
from salver.access.permit import Principal
from salver.errors import Code, RequestError
from salver.operations.environments import MAX_LINES, BuildEnvironment, BuiltEnvironment, WantedEnvironment
from salver.processes.base import ControlRequest
from salver.processes.environments import LINES_OF_PACKAGE, EnvironmentOperations, request_of
from salver.replicas.environments.renv import renv_request

LOCK = renv_lock("4.2.1", tinybase="1.0")


def test_a_renv_lock_is_what_is_asked_for() -> None:
    assert request_of(WantedEnvironment(kind="r", lock=LOCK)) == renv_request(LOCK, "renv.lock")


@pytest.mark.parametrize(
    ("wanted", "code", "reason"),
    [
        (WantedEnvironment(kind="julia"), Code.INVALID_INPUT, "no environments of the kind 'julia'"),
        (WantedEnvironment(kind="r"), Code.INVALID_INPUT, "by a lock alone"),
        (WantedEnvironment(kind="r", lock=LOCK, python="3.8"), Code.INVALID_INPUT, "by a lock alone"),
        (WantedEnvironment(kind="r", lock="{}"), Code.INVALID_INPUT, "no lock of renv"),
        (
            WantedEnvironment(kind="r", lock="\n" * (MAX_LINES * LINES_OF_PACKAGE + 1)),
            Code.PAYLOAD_TOO_LARGE,
            "packages",
        ),
    ],
)
def test_what_is_no_lock_of_r_is_refused(wanted: WantedEnvironment, code: Code, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as caught:
        request_of(wanted)
    assert caught.value.code is code


@needs_r
def test_where_r_has_all_nothing_is_installed(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        audit = AuditLog(bench.store)
        build = EnvironmentOperations(bench.builder, dict, list, audit).bodies()["environments.build"]

        async def ask(*, is_plan: bool) -> BuiltEnvironment:
            wanted = WantedEnvironment(kind="r", lock=renv_lock(stats=r_version()))
            request = ControlRequest(
                operation="environments.build",
                parameters=Raw(msgpack.encode(BuildEnvironment(wanted=wanted, is_plan=is_plan))),
                principal=Principal(id="key:1", role="operator"),
                request_id="r1",
                peer="192.0.2.1",
                wire="native",
            )
            built: BuiltEnvironment = await build(request)
            return built

        try:
            planned = await ask(is_plan=True)
            assert planned.steps[0].startswith("resolve stats==")
            built = await ask(is_plan=False)
            assert built.environment is None
            assert built.steps == (f"nothing is to be installed: R {r_version()} with the packages that it has",)
        finally:
            audit.close()

    play(Bench(tmp_path), story)
