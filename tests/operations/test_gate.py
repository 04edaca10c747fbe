"""The gate: every operation for every role, what an unknown caller may, and that all of it is written down."""

from __future__ import annotations

import asyncio
import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from salver.access.authenticator import Authenticator
from salver.access.base import AccessSettings
from salver.access.keys import KeyRights, KeyRing, new_key
from salver.access.limits import RateLimiter
from salver.access.permit import ANYONE
from salver.access.roles import ANONYMOUS, GRANTS, KEY_ROLES
from salver.errors import Code, RequestError, SalverError, StartupError
from salver.operations import inference
from salver.operations.base import Answer, Call, Credentials, Route
from salver.operations.catalogue import OPERATIONS as CATALOGUE
from salver.operations.gate import NOBODY, Gate, checked_request_id
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.counters import Counters
from salver.telemetry.meter import Meter

PUBLIC = {"server.live", "server.ready", "server.describe"}
FAR = Credentials(None, "10.0.0.1", is_loopback=False)
NEAR = Credentials(None, "127.0.0.1", is_loopback=True)


class Bench:
    """A gate whose operations answer with who called them."""

    def __init__(self, anonymous: Any = "loopback", operations: Any = CATALOGUE, bodies: Any = None) -> None:
        self.denials: list[tuple[str, str, Code]] = []
        self.ids: list[str] = []
        self.now = 100.0
        self.counters = Counters()
        numbers = itertools.count(1)
        names = [operation.name for operation in CATALOGUE if operation.name != "models.predict"]
        self.gate = Gate(
            operations,
            dict.fromkeys(names, self.body) if bodies is None else bodies,
            authenticator=Authenticator(AccessSettings(anonymous=anonymous), server_uid=1000, keys=KeyRing(())),
            limiter=RateLimiter(),
            auditor=self,
            meter=Meter(self.counters, AccessLog(None, None)),  # type: ignore[arg-type]
            clock=lambda: self.now,
            wall_clock=lambda: 1e9 + self.now,
            new_request_id=lambda: f"id-{next(numbers)}",
        )

    async def body(self, call: Call, parameters: Any) -> Any:
        if isinstance(parameters, Exception):
            raise parameters
        return call.principal.id, call.request_id, parameters

    def denied(self, call: Call, error: SalverError) -> None:
        self.denials.append((call.principal.id, call.operation.name, error.code))
        self.ids.append(call.request_id)

    def key(self, role: str, **rights: Any) -> Credentials:
        key, record = new_key(KeyRights(label="a", role=role, **rights), created_by="t", now=0.0)
        self.gate.authenticator.keys = KeyRing((record,))
        return Credentials(key, "10.0.0.1", is_loopback=False)

    def run(self, operation: str, credentials: Credentials, parameters: Any = None, **more: Any) -> Any:
        return asyncio.run(self.gate.run(operation, credentials, lambda: parameters, **more))

    def admit(self, credentials: Credentials, model: str = "m") -> Any:
        return self.gate.admit(inference.PREDICT, exchange(credentials), model, "w", self.now)

    def refusal(self, operation: str, credentials: Credentials, **more: Any) -> Code:
        with pytest.raises(SalverError) as raised:
            self.run(operation, credentials, **more)
        return raised.value.code

    def codes(self) -> dict[str, int]:
        sums: dict[str, int] = {}
        for _, count in self.counters.requests():
            for code, number in count.codes.items():
                sums[code] = sums.get(code, 0) + number
        return sums


ORDINARY = [operation for operation in CATALOGUE if operation.name != "models.predict"]


@pytest.mark.parametrize("role", [role.name for role in KEY_ROLES])
@pytest.mark.parametrize("operation", ORDINARY, ids=lambda operation: operation.name)
def test_a_role_may_what_it_is_granted(role, operation) -> None:
    bench = Bench()
    credentials = bench.key(role)
    if operation.permission is None or operation.permission in GRANTS[role]:
        assert bench.run(operation.name, credentials, "p", model="m")[2] == "p"
        assert bench.denials == []
        assert bench.codes() == {"OK": 1}
    else:
        assert bench.refusal(operation.name, credentials, model="m") is Code.PERMISSION_DENIED
        ((who, what, code),) = bench.denials
        assert who.startswith("key:")
        assert (what, code) == (operation.name, Code.PERMISSION_DENIED)
        assert bench.codes() == {"PERMISSION_DENIED": 1}


@pytest.mark.parametrize("anonymous", ["loopback", "all", "none"])
@pytest.mark.parametrize("caller", [NEAR, FAR], ids=["near", "far"])
@pytest.mark.parametrize("operation", ORDINARY, ids=lambda operation: operation.name)
def test_a_caller_without_a_key_may_what_the_settings_say(anonymous, caller, operation) -> None:
    bench = Bench(anonymous)
    is_let_in = anonymous == "all" or (anonymous == "loopback" and caller is NEAR)
    if operation.name in PUBLIC:
        assert bench.run(operation.name, caller)[0] == (ANYONE.id if is_let_in else NOBODY.id)
    elif is_let_in and operation.permission in GRANTS[ANONYMOUS.name]:
        assert bench.run(operation.name, caller, model="m")[0] == ANYONE.id
    else:
        assert bench.refusal(operation.name, caller, model="m") is Code.UNAUTHENTICATED


@pytest.mark.parametrize("role", [role.name for role in KEY_ROLES])
def test_predictions_are_admitted_by_the_same_grants(role) -> None:
    bench = Bench()
    credentials = bench.key(role)
    if "models.predict" in GRANTS[role]:
        assert bench.admit(credentials).id.startswith("key:")
    else:
        with pytest.raises(RequestError) as raised:
            bench.admit(credentials)
        assert raised.value.code is Code.PERMISSION_DENIED


def test_a_key_fenced_to_some_models_finds_no_others() -> None:
    bench = Bench()
    credentials = bench.key("developer", models=("a",))
    assert bench.run("models.get", credentials, model="a")
    assert bench.refusal("models.get", credentials, model="b") is Code.MODEL_NOT_FOUND
    with pytest.raises(RequestError, match="no model named 'b'"):
        bench.admit(credentials, "b")


def test_a_budget_is_shared_by_both_ways_in() -> None:
    bench = Bench()
    credentials = bench.key("developer", requests_per_second=2.0)
    bench.admit(credentials)
    bench.run("models.list", credentials)
    assert bench.refusal("models.list", credentials) is Code.QUOTA_EXCEEDED
    with pytest.raises(RequestError) as raised:
        bench.admit(credentials)
    assert raised.value.retry_after_s == pytest.approx(0.5)
    bench.now += 1.0
    assert bench.run("models.list", credentials)


def test_a_key_that_expires_is_refused_by_the_wall_clock() -> None:
    bench = Bench()
    credentials = bench.key("developer", expires_at=1e9 + 101)
    assert bench.run("models.list", credentials)
    bench.now += 2
    assert bench.refusal("models.list", credentials) is Code.UNAUTHENTICATED
    with pytest.raises(RequestError, match="expired"):
        bench.admit(credentials)


def test_the_owner_of_the_server_may_everything_at_its_own_socket() -> None:
    bench = Bench("none")
    for uid in (1000, 0):
        owner = Credentials(None, "unix", is_loopback=True, local_uid=uid)
        for operation in ORDINARY:
            assert bench.run(operation.name, owner, model="m")
    stranger = Credentials(None, "unix", is_loopback=True, local_uid=1001)
    assert bench.refusal("keys.list", stranger) is Code.UNAUTHENTICATED


def test_nobodys_input_is_looked_at_before_it_is_known_that_they_may() -> None:
    bench = Bench()

    def read() -> Any:
        raise AssertionError("it was read")

    with pytest.raises(RequestError):
        asyncio.run(bench.gate.run("keys.create", FAR, read))


def test_what_the_operation_raises_is_raised_counted_and_no_denial() -> None:
    bench = Bench()
    with pytest.raises(SalverError):
        bench.run("models.list", NEAR, RequestError(Code.CONFLICT, "No."))
    with pytest.raises(ZeroDivisionError):
        bench.run("models.list", NEAR, ZeroDivisionError())
    assert bench.codes() == {"CONFLICT": 1, "INTERNAL": 1}
    assert bench.denials == []


def test_an_operation_that_is_not_in_the_catalogue_cannot_be_run() -> None:
    bench = Bench("all")
    with pytest.raises(KeyError):
        bench.run("models.steal", NEAR)
    with pytest.raises(KeyError):
        bench.gate.operation("models.steal")
    assert bench.gate.operation("models.list").name == "models.list"


def test_an_operation_without_a_body_makes_the_start_fail() -> None:
    with pytest.raises(StartupError, match=r"keys\.create, keys\.list"):
        Bench(bodies={name: None for name in (one.name for one in ORDINARY) if not name.startswith("keys.")})


def test_a_route_without_a_known_operation_makes_the_start_fail() -> None:
    def route(operation: str) -> Route:
        return Route(
            methods=("GET",), path="/a", operation=operation, read=lambda _: None, write=lambda *_: Answer(200, b"")
        )

    gate = Bench().gate
    gate.check_routes((route("models.list"),), "w")
    with pytest.raises(StartupError, match=r"/a of the protocol w declares the operation 'models\.steal'"):
        gate.check_routes((route("models.list"), route("models.steal")), "w")


def test_ids_are_the_callers_or_the_servers() -> None:
    bench = Bench()
    assert bench.run("server.live", NEAR, request_id="theirs")[1] == "theirs"
    assert bench.run("server.live", NEAR)[1] == "id-1"


def exchange(credentials: Credentials, request_id: str = "") -> Any:
    return SimpleNamespace(credentials=credentials, request_id=request_id)


@pytest.mark.parametrize(("request_id", "told"), [("", "id-1"), ("theirs", "theirs")])
def test_a_refused_prediction_is_written_down_under_its_callers_name_and_one_id(request_id, told) -> None:
    bench = Bench()
    asked = exchange(bench.key("viewer"), request_id)
    with pytest.raises(RequestError):
        bench.gate.admit(inference.PREDICT, asked, "m", "w", bench.now)
    assert bench.denials[0][0].startswith("key:")
    call = bench.gate.refused(inference.PREDICT, asked, "m", "w")
    assert (call.request_id, call.model, call.wire, bench.ids) == (told, "m", "w", [told])
    assert bench.gate.refused(inference.PREDICT, exchange(FAR), "m", "w").principal is NOBODY


def test_a_call_is_counted_once() -> None:
    bench = Bench()
    call = bench.gate.refused(inference.PREDICT, exchange(FAR), "m", "w")
    for _ in range(2):
        bench.gate.finish(call, None)
    assert bench.codes() == {"OK": 1}


def test_what_was_decided_for_callers_without_a_key_stands_until_the_keys_change() -> None:
    bench = Bench()
    before = bench.gate.authenticator.keys
    assert bench.gate.authenticator.keys is before
    bench.key("viewer")
    assert bench.gate.authenticator.keys is not before


@pytest.mark.parametrize("given", [b"a", b"A-b_c.d:1", b"x" * 128])
def test_harmless_ids(given) -> None:
    assert checked_request_id(given) == given.decode()


@pytest.mark.parametrize("given", [b"", b"x" * 129, b"a b", b'a"', b"a\n", b"\xe9", b"a\\", b"a\0", "١".encode()])
def test_harmful_ids(given) -> None:
    assert checked_request_id(given) == ""
