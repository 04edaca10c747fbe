"""A web page must not reach the server under a name of its own, nor change anything from another site."""

from __future__ import annotations

import socket

import pytest

from salver.net import edge, head

BODY = b'{"instances":[[1,1]]}'
PATH = "/api/v1/models/m/predict"


def with_host(raw: bytes, host: str) -> bytes:
    return raw.replace(b"Host: 127.0.0.1", f"Host: {host}".encode())


GOOD = (
    "127.0.0.1",
    "127.0.0.1:8080",
    "localhost",
    "LOCALHOST:1",
    "[::1]",
    "[::1]:8080",
    "192.168.1.7",
    "8.8.8.8:80",
    "",
)
BAD = ("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "a", "salver")


@pytest.mark.parametrize("host", GOOD)
def test_addresses_and_localhost_are_this_server(running, connect, say, host) -> None:
    client = connect(running)
    assert client.send(with_host(say.predict(), host)).answer().status == 200
    assert client.send(with_host(say.get("/livez"), host)).answer().status == 200


@pytest.mark.parametrize("host", BAD)
def test_other_names_are_not(running, connect, say, host) -> None:
    answer = connect(running).send(with_host(say.predict(), host)).answer()
    assert (answer.status, answer.json["error"]["code"]) == (421, "PERMISSION_DENIED")
    answer = connect(running).send(with_host(say.get("/livez"), host)).answer()
    assert (answer.status, answer.json["error"]["code"]) == (403, "PERMISSION_DENIED")
    assert running.worker.asked == 0


def test_allowed_names_are(make_server, connect, say) -> None:
    server = make_server(allowed_hosts=("Models.Example",))
    client = connect(server)
    assert client.send(with_host(say.predict(), "models.example:80")).answer().status == 200
    assert client.send(with_host(say.predict(), "other.example")).answer().status == 421


def test_a_star_allows_all(make_server, connect, say) -> None:
    server = make_server(allowed_hosts=("*",))
    assert connect(server).send(with_host(say.predict(), "evil.example")).answer().status == 200


def test_names_beyond_number_take_bounded_memory(make_server, connect, say, monkeypatch) -> None:
    monkeypatch.setattr(head, "MAX_KNOWN", 50)
    monkeypatch.setattr(edge, "MAX_KNOWN_REQUESTS", 50)
    server = make_server(allowed_hosts=("*",))
    client = connect(server)
    for number in range(240):
        client.send(with_host(say.predict(), f"host-{number // 2}.example"))
        assert client.answer().status == 200
    assert 0 < len(server.edge._heads._known) <= 50
    assert 0 < len(server.edge.lane.known_requests) <= 50


def test_targets_beyond_number_take_bounded_memory(running, connect, say, monkeypatch) -> None:
    monkeypatch.setattr(edge, "MAX_ROUTES", 50)
    client = connect(running)
    for number in range(120):
        client.send(say.post(f"{PATH}?n={number}", b'{"instances":[["a"]]}'))
        assert client.answer().status == 400
    assert 0 < len(running.edge._routes) <= 50
    client.send(say.post(f"{PATH}?n={'a' * 1000}", b'{"instances":[["a"]]}'))
    assert client.answer().status == 400
    assert not [target for target in running.edge._routes if len(target) > 600]


FOREIGN = {
    "another site": ("Origin: https://evil.example",),
    "another port": ("Origin: http://127.0.0.1:9",),
    "no site at all": ("Origin: null",),
    "nonsense": ("Origin: http://[",),
    "a relation across sites": ("Sec-Fetch-Site: cross-site",),
    "a relation within a site": ("Sec-Fetch-Site: same-site",),
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_page_from_elsewhere_changes_nothing(running, connect, say, headers) -> None:
    client = connect(running)
    json_type = "Content-Type: application/json"
    for raw in (
        say.post("/api/v1/keys", b"{}", json_type, *headers),
        say.get("/api/v1/keys/a", *headers, method="DELETE"),
    ):
        answer = client.send(raw).answer()
        assert (answer.status, answer.json["error"]["code"]) == (403, "PERMISSION_DENIED")
        assert "another site" in answer.json["error"]["message"]
    assert client.send(say.get("/livez", *headers)).answer().status == 200


@pytest.mark.parametrize(
    "headers", [("Origin: http://127.0.0.1",), ("Sec-Fetch-Site: same-origin",), ("Sec-Fetch-Site: none",)]
)
def test_a_page_of_the_server_itself_gets_as_far_as_anyone(running, connect, say, headers) -> None:
    answer = connect(running).send(say.post("/api/v1/keys", b"{}", "Content-Type: application/json", *headers)).answer()
    assert answer.status == 401


def test_a_page_without_host_is_no_page_of_the_server(running, connect) -> None:
    raw = b"POST /api/v1/keys HTTP/1.0\r\nOrigin: null\r\nContent-Length: 2\r\n\r\n{}"
    assert connect(running).send(raw).answer().status == 403


def test_the_unix_socket_says_who_is_at_the_other_end(running, tmp_path, say) -> None:
    """Whoever owns the server's process is its administrator there, without a key."""
    path = str(tmp_path / "s")
    running.run(running.front_end._listen_locally(path))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(say.get("/api/v1/keys"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 409 ")
    assert running.control.operations[0].operation == "keys.list"
    assert running.control.operations[0].peer == "unix"
