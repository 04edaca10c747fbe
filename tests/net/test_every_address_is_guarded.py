"""Nothing is reachable past the gate: every address of every wire is tried by callers without rights."""

from __future__ import annotations

import re

import pytest

from salver.access.keys import KeyRights, new_key
from salver.access.roles import GRANTS, KEY_ROLES
from salver.wire.torchserve.management import MmsManagementWire

OTHER_PORTS = ("mms-management", "openinference-metrics")
"""Wires with addresses at ports of their own, which this server has not opened."""
PUBLIC = {"server.live", "server.ready", "server.describe"}
PREDICTIONS = (
    "/api/v1/models/m/predict",
    "/v1/models/m:predict",
    "/predictions/m",
    "/v1/models/m:classify",
    "/v2/models/m/infer",
)


def addresses(server):
    """Each route of each wire with an address that it answers."""
    wires = [*server.front_end.wires.values(), MmsManagementWire()]
    for wire in wires:
        for route in wire.routes:
            for method in ("GET", "POST", "DELETE") if route.methods == ("*",) else route.methods:
                path = route.path.replace("{version}", "1").replace("{version:int}", "1")
                yield wire.name, route, method, re.sub(r"\{\w+(?::\w+)?\}", "m", path)


@pytest.fixture
def locked(make_server):
    return make_server(anonymous="none")


def test_the_operations_anyone_may_ask_are_these(locked) -> None:
    operations = locked.front_end.gate._operations.values()
    assert {operation.name for operation in operations if operation.permission is None} == PUBLIC


def test_no_address_answers_a_caller_without_a_key(locked, connect, say) -> None:
    tried = 0
    for wire, route, method, path in addresses(locked):
        if wire in OTHER_PORTS or route.operation in PUBLIC:
            continue
        client = connect(locked)
        answer = client.send(
            say.post(path, b"{}", "Content-Type: application/json").replace(b"POST", method.encode(), 1)
        )
        assert answer.answer(is_head=method == "HEAD").status in (401, 403), (wire, method, path)
        client.close()
        tried += 1
    assert tried > 20
    assert locked.control.operations == []


@pytest.mark.parametrize("path", PREDICTIONS)
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_no_prediction_is_made_for_a_caller_without_a_key(locked, connect, say, path, method) -> None:
    raw = say.post(path, b'{"instances":[[1,1]]}', "Content-Type: application/json").replace(
        b"POST", method.encode(), 1
    )
    answer = connect(locked).send(raw).answer(is_head=method == "HEAD")
    assert 400 <= answer.status < 500
    if method == "POST":
        assert answer.status in (401, 403)
    assert [worker.asked for worker in locked.workers.values()] == [0, 0, 0]


WRONG = ("Bearer nonsense", "Bearer ", "Bearer", "Basic YTpi", "msk_0123456789_a_b", "", "Bearer \xe9")


@pytest.mark.parametrize("authorization", WRONG)
def test_a_wrong_key_is_worse_than_none(running, connect, say, authorization) -> None:
    """Callers without a key may predict here; one who sent a key that is not right may not."""
    client = connect(running)
    header = f"Authorization: {authorization}"
    assert client.send(say.predict(1, header)).answer().status == 401
    assert client.send(say.get("/api/v1/models", header)).answer().status == 401
    assert client.send(say.predict()).answer().status == 200


def key_for(server, role: str, models: tuple[str, ...] = (), rate: float | None = None) -> str:
    rights = KeyRights(label="a", role=role, models=models, requests_per_second=rate)
    key, record = new_key(rights, created_by="test", now=0.0)
    server.run(server.front_end.set_keys((record,)))
    return f"Authorization: Bearer {key}"


@pytest.mark.parametrize("role", [role.name for role in KEY_ROLES])
def test_each_role_reaches_what_it_is_granted_and_nothing_else(locked, connect, say, role) -> None:
    header = key_for(locked, role)
    client = connect(locked)
    status = client.send(say.predict(1, header)).answer().status
    assert status == (200 if "models.predict" in GRANTS[role] else 403)
    for wire, route, method, path in addresses(locked):
        operation = locked.front_end.gate.operation(route.operation)
        if wire in OTHER_PORTS or operation.name in PUBLIC:
            continue
        raw = say.post(path, b"{}", "Content-Type: application/json", header).replace(b"POST", method.encode(), 1)
        status = client.send(raw).answer(is_head=method == "HEAD").status
        may = operation.permission in GRANTS[role]
        assert (status == 403) is not may, (wire, method, path, status)
        if status >= 400:
            client = connect(locked)


def test_a_key_for_some_models_sees_no_others(locked, connect, say) -> None:
    client = connect(locked)
    header = key_for(locked, "user", models=("m",))
    assert client.send(say.predict(1, header)).answer().status == 200
    assert client.send(say.get("/api/v1/models/m", header)).answer().status == 200
    hidden = client.send(say.wide(1, header)).answer()
    unknown = client.send(say.predict(1, header, model="none")).answer()
    assert (hidden.status, hidden.json["error"]["code"]) == (404, "MODEL_NOT_FOUND")
    same = hidden.json["error"]["message"].replace("wide", "none")
    assert same == unknown.json["error"]["message"]
    assert client.send(say.get("/api/v1/models/wide", header)).answer().status == 404
    assert len(client.send(say.get("/api/v1/models", header)).answer().json["models"]) == 1
    assert client.send(say.get("/metrics", header)).answer().status == 403
    assert locked.workers["wide"].asked == 0


def test_a_key_that_is_taken_back_stops_at_once_on_connections_that_stand(locked, connect, say) -> None:
    header = key_for(locked, "user")
    client = connect(locked)
    for _ in range(3):
        assert client.send(say.predict(1, header)).answer().status == 200
    locked.run(locked.front_end.set_keys(()))
    assert client.send(say.predict(1, header)).answer().status == 401


def test_keys_of_two_callers_behind_one_proxy_do_not_mix(locked, connect, say) -> None:
    rights = [KeyRights(label="a", role="user", models=(model,)) for model in ("m", "wide")]
    made = [new_key(one, created_by="test", now=0.0) for one in rights]
    locked.run(locked.front_end.set_keys([record for _, record in made]))
    first, second = (f"Authorization: Bearer {key}" for key, _ in made)
    client = connect(locked)
    for _ in range(5):
        assert client.send(say.predict(1, first)).answer().status == 200
        assert client.send(say.predict(1, second)).answer().status == 404
        assert client.send(say.wide(1, second)).answer().status == 200
        assert client.send(say.wide(1, first)).answer().status == 404
        assert client.send(say.predict(1)).answer().status == 401


def test_a_budget_holds_on_both_roads(locked, connect, say) -> None:
    header = key_for(locked, "user", rate=3.0)
    client = connect(locked)
    statuses = [client.send(say.predict(1, header)).answer().status for _ in range(10)]
    assert statuses[:3] == [200, 200, 200]
    assert 429 in statuses
    refused = client.send(say.get("/api/v1/models", header)).answer()
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")


def test_who_was_refused_is_told_to_the_audit_log(locked, connect, say) -> None:
    """With a name where there is one: a refusal of a key is not nobody's."""
    client = connect(locked)
    header = key_for(locked, "viewer")
    client.send(say.predict(1, header, "X-Request-Id: a")).answer()
    client.send(say.get("/api/v1/keys", header, "X-Request-Id: b")).answer()
    client.send(say.predict(1, "X-Request-Id: c")).answer()
    client.send(say.get("/api/v1/keys", "X-Request-Id: d")).answer()
    told = [(event.principal[:4], event.operation, event.outcome, event.request_id) for event in locked.control.denials]
    assert told == [
        ("key:", "models.predict", "PERMISSION_DENIED", "a"),
        ("key:", "keys.list", "PERMISSION_DENIED", "b"),
        ("nobo", "models.predict", "UNAUTHENTICATED", "c"),
        ("nobo", "keys.list", "UNAUTHENTICATED", "d"),
    ]


def test_the_audit_log_and_the_caller_are_told_the_same_id(locked, connect, say) -> None:
    client = connect(locked)
    told = [client.send(raw).answer().headers["x-request-id"] for raw in (say.predict(), say.get("/api/v1/keys"))]
    assert [event.request_id for event in locked.control.denials] == told


def test_every_permission_is_used_by_an_operation(locked) -> None:
    used = {operation.permission for operation in locked.front_end.gate._operations.values()} - {None}
    assert used == set().union(*GRANTS.values())
