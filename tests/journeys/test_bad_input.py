"""Each kind of bad input over each protocol: the caller is told, in the protocol's words, and nothing is a fault."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from bad_input import GRPC, HTTP, KINDS, LIMIT_MB, SUMS, TEXTS
from bad_input_heard import HEARD
from journey_models import write_model
from journey_server import Server, serving

LEAKS = re.compile(r'Traceback|File "|line \d+, in |\w+\.py\b|site-packages|/tmp/|object at 0x')
TABLES: dict[str, dict[str, Any]] = {**HTTP, **GRPC}


class Site(NamedTuple):
    server: Server
    ports: dict[str, int]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bad-input")
    models = [write_model(folder / name, code, name=name) for name, code in (("sums", SUMS), ("texts", TEXTS))]
    doors = ",".join(f"{name}@127.0.0.1:0" for name in TABLES)
    with serving(*models, folder=folder, doors=doors, max_body_mb=LIMIT_MB) as server:
        ports = dict(zip(TABLES, (int(url.rpartition(":")[2]) for url in server.urls), strict=True))
        yield Site(server, ports)
        assert not [line for line in server.logs.splitlines() if '"level": "error"' in line]


def asked(port: int, target: str, body: bytes) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def called(port: int, method: str, message: Any) -> tuple[str, str]:
    raw = message if isinstance(message, bytes) else message.SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(raw, timeout=20, wait_for_ready=True)
    return caught.value.code().name, caught.value.details()


@pytest.mark.parametrize("wire", TABLES)
def test_there_is_a_cell_for_each_kind(wire: str) -> None:
    table = TABLES[wire]
    assert set(table) == set(KINDS)
    assert {kind for kind, cell in table.items() if not isinstance(cell, str)} == set(HEARD[wire])


@pytest.mark.parametrize(("wire", "kind"), [(wire, kind) for wire in HEARD for kind in HEARD[wire]])
def test_the_caller_is_told_what_is_wrong(site: Site, wire: str, kind: str) -> None:
    ask = asked if wire in HTTP else called
    status, text = ask(site.ports[wire], *TABLES[wire][kind])
    expected, part = HEARD[wire][kind]
    assert status == expected, text
    assert part in text
    assert not LEAKS.search(text)
