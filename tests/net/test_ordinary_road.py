"""Everything that is no prediction: found by its path, let through by the gate, answered by its wire."""

from __future__ import annotations

import re

import pytest

from salver.errors import Code, RequestError, StartupError
from salver.net.ordinary import OrdinaryRoad
from salver.operations.base import Answer, Route


@pytest.mark.parametrize("path", ["/nowhere", "/api/v1/nothing", "//livez", "/livez/", "/livez%0A", "/%2e%2e/livez"])
def test_unknown_addresses_are_not_found(running, connect, say, path) -> None:
    answer = connect(running).send(say.get(path)).answer()
    assert answer.status == 404
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize(
    ("path", "method"),
    [("/livez", "POST"), ("/metrics", "PUT"), ("/api/v1/models", "DELETE"), ("/api/v1/keys", "PATCH")],
)
def test_wrong_methods_are_refused(running, connect, say, path, method) -> None:
    answer = connect(running).send(say.get(path, method=method)).answer()
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]


def test_escapes_in_a_path_are_undone_once(running, connect, say) -> None:
    client = connect(running)
    assert client.send(say.get("/api/v1/models/%6D")).answer().json["name"] == "m"
    assert client.send(say.get("/api/v1/models/%256D")).answer().status == 404
    assert client.send(say.get("/%6Civez")).answer().status == 200


@pytest.mark.parametrize("name", ["..", "%2e%2e", "a%2Fb", "%ff", "%00", "a%0D%0AX-B:%20c", "%F0%9F%98%80"])
def test_strange_names_are_no_models(running, connect, say, name) -> None:
    client = connect(running)
    for raw in (
        say.get(f"/api/v1/models/{name}"),
        say.post(f"/api/v1/models/{name}/predict", b"{}", "Content-Type: application/json"),
        say.get(f"/v1/models/{name}"),
    ):
        answer = client.send(raw).answer()
        assert answer.status in (400, 404, 405)
        assert "x-b" not in answer.headers


def test_a_harmless_request_id_comes_back(running, connect, say) -> None:
    client = connect(running)
    for raw in (say.get("/livez", "X-Request-Id: My.id_1:a-2"), say.predict(1, "X-Request-Id: My.id_1:a-2")):
        assert client.send(raw).answer().headers["x-request-id"] == "My.id_1:a-2"


@pytest.mark.parametrize("harmful", ['a"b', "a b", "a\\b", "é", "a" * 129, "", "<a>", "a,b"])
def test_a_harmful_one_is_replaced(running, connect, say, harmful) -> None:
    client = connect(running)
    for raw in (say.get("/livez", f"X-Request-Id: {harmful}"), say.predict(1, f"X-Request-Id: {harmful}")):
        id = client.send(raw).answer().headers["x-request-id"]
        assert re.fullmatch(r"[0-9a-f-]{36}", id)


def test_ids_are_the_servers_own_and_never_the_same(running, connect, say) -> None:
    client = connect(running)
    ids = {client.send(raw).answer().headers["x-request-id"] for raw in [say.get("/livez"), say.predict()] * 20}
    assert len(ids) == 40


def test_the_address_of_the_server_is_what_the_client_called_it(running, connect, say) -> None:
    answer = connect(running).send(say.get("/openapi.json").replace(b"127.0.0.1", b"localhost:1")).answer()
    assert b"http://localhost:1" in answer.body


def test_what_goes_wrong_in_the_server_is_not_told(make_server, connect, say) -> None:
    server = make_server()

    async def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret")

    server.front_end.gate._bodies["server.live"] = fail
    answer = connect(server).send(say.get("/livez", "X-Request-Id: known")).answer()
    assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
    assert answer.json["error"]["request_id"] == "known"
    assert b"secret" not in answer.body
    assert len(server.records.lines) == 1
    assert "operation_failed" in server.records.lines.pop()


def test_what_goes_wrong_on_the_lane_is_not_told_either(make_server, connect, say, monkeypatch) -> None:
    server = make_server()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr("salver.wire.native.predict.plan_for", fail)
    client = connect(server)
    answer = client.send(say.predict()).answer()
    assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
    assert b"secret" not in answer.body
    assert client.send(say.get("/livez")).answer().status == 200
    assert "prediction_failed" in server.records.lines.pop()


def test_an_answer_that_cannot_be_rendered_is_an_error_and_no_more(make_server, connect, say, monkeypatch) -> None:
    server = make_server()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr("salver.wire.native.answers.AnswerPlan.encode", fail)
    answer = connect(server).send(say.predict()).answer()
    assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
    assert b"secret" not in answer.body
    assert "encode_failed" in server.records.lines.pop()


def test_a_fault_in_the_edge_itself_is_logged_and_ends_the_connection(make_server, connect, say, monkeypatch) -> None:
    server = make_server()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr(server.edge, "lane_route", fail)
    client = connect(server).send(say.predict())
    answer = client.answer()
    assert (answer.status, answer.json["error"]["code"]) == (500, "INTERNAL")
    assert client.has_ended()
    assert "request_failed" in server.records.lines.pop()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"label": 1}', b"\xff", b'{"a":' * 5000])
def test_management_takes_json_only_and_says_what_is_wrong(running, connect, say, body) -> None:
    key_holder(running)
    client = connect(running)
    answer = client.send(admin(say.post("/api/v1/keys", body, "Content-Type: application/json"))).answer()
    assert answer.status == 400
    answer = client.send(admin(say.post("/api/v1/keys", body, "Content-Type: text/plain"))).answer()
    assert answer.status == 415


KEY = []


def key_holder(server) -> None:
    from salver.access.keys import KeyRights, new_key

    key, record = new_key(KeyRights(label="a", role="admin"), created_by="test", now=0.0)
    KEY[:] = [key]
    server.run(server.front_end.set_keys((record,)))


def admin(raw: bytes) -> bytes:
    return raw.replace(b"Host:", f"Authorization: Bearer {KEY[0]}\r\nHost:".encode(), 1)


def test_an_address_without_a_known_operation_makes_the_start_fail(running) -> None:
    class Wire:
        name = "odd"
        routes = (
            Route(
                methods=("GET",),
                path="/odd",
                operation="models.steal",
                read=lambda request: None,
                write=lambda result, request: Answer(200, b""),
            ),
        )

    with pytest.raises(StartupError, match=r"models\.steal") as raised:
        OrdinaryRoad(running.front_end.gate, (Wire(),), new_request_id=lambda: "id")
    assert raised.value.code is Code.INTERNAL


def test_an_error_of_an_operation_is_told_in_the_words_of_its_wire(running, connect, say) -> None:
    client = connect(running)
    assert client.send(say.get("/v1/models/none")).answer().json["error"].startswith("Could not find")
    assert client.send(say.get("/api/v1/models/none")).answer().json["error"]["code"] == "MODEL_NOT_FOUND"


def test_an_error_may_carry_when_to_come_again(running, connect, say) -> None:
    async def busy(*_: object) -> None:
        raise RequestError(Code.OVERLOADED, "Later.", retry_after_s=7)

    running.front_end.gate._bodies["server.live"] = busy
    answer = connect(running).send(say.get("/livez")).answer()
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
