"""Artefacts on their way in: past the limits of other bodies, to a file, and only from who may send them."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from salver.access.keys import KeyRights, new_key
from salver.net import uploads
from salver.operations import models
from salver.processes.base import ControlRequest

MIB = 1024 * 1024
WAIT_S = 10.0
PLACE = "/api/v1/models/iris/versions?file=iris.onnx"
TYPE = "Content-Type: application/octet-stream"


class Received:
    """What the control half found at the path that it was given."""

    def __init__(self) -> None:
        self.wanted: list[models.PublishVersion] = []
        self.digests: list[str] = []

    def __call__(self, request: ControlRequest) -> models.Outcome:
        wanted = msgspec.msgpack.decode(request.parameters, type=models.PublishVersion)
        self.wanted.append(wanted)
        content = Path(wanted.upload).read_bytes() if wanted.upload else b""
        self.digests.append(hashlib.sha256(content).hexdigest())
        return models.Outcome(model="iris", version=1, is_plan=wanted.is_plan, plan=models.Plan(), revision=1)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where uploads go. Nothing may be left in it at the end."""
    path = tmp_path / "uploads"
    path.mkdir()
    yield path
    deadline = time.monotonic() + WAIT_S  # a client that was refused may be noticed after its answer
    while list(path.iterdir()) and time.monotonic() < deadline:
        os.sched_yield()
    assert list(path.iterdir()) == []


@pytest.fixture
def server(make_server: Any, folder: Path) -> Any:
    """A server that takes 1 MiB, and uploads of 4."""
    return make_server(anonymous="none", uploads=str(folder), max_body_mb=1, max_upload_mb=4)


@pytest.fixture
def received(server: Any) -> Received:
    server.control.answer = Received()
    return server.control.answer


def key_for(server: Any, role: str, models: tuple[str, ...] = ()) -> str:
    key, record = new_key(KeyRights(label="a", role=role, models=models), created_by="test", now=0.0)
    server.run(server.front_end.set_keys((record,)))
    return f"Authorization: Bearer {key}"


@pytest.mark.parametrize("size", [1, 1000, MIB, MIB + 1, 3 * MIB + 17, 4 * MIB])
def test_an_upload_arrives_whole(server: Any, received: Received, connect: Any, say: Any, size: int) -> None:
    body = os.urandom(size)
    client = connect(server)
    answer = client.send(say.post(PLACE, body, TYPE, key_for(server, "operator"))).answer()
    assert (answer.status, answer.headers["location"]) == (201, "/api/v1/models/iris/versions/1")
    assert received.digests == [hashlib.sha256(body).hexdigest()]
    assert received.wanted[0].file_name == "iris.onnx"
    assert client.send(say.get("/livez")).answer().status == 200


def test_an_upload_may_come_in_chunks(server: Any, received: Received, connect: Any) -> None:
    piece = os.urandom(600_000)
    head = f"POST {PLACE} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n{TYPE}\r\n"
    head += f"{key_for(server, 'operator')}\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for _ in range(5)]
    answer = connect(server).send(head.encode(), *chunks, b"0\r\n\r\n").answer()
    assert answer.status == 201
    assert received.digests == [hashlib.sha256(piece * 5).hexdigest()]


def test_a_plan_needs_no_body(server: Any, received: Received, connect: Any, say: Any) -> None:
    raw = say.post(f"{PLACE}&plan=true", b"", TYPE, key_for(server, "operator"))
    assert connect(server).send(raw).answer().status == 200
    assert received.wanted[0].upload == ""


@pytest.mark.parametrize("role", [None, "user", "viewer"])
def test_nothing_is_kept_of_an_upload_that_may_not_be(
    server: Any, received: Received, connect: Any, say: Any, role: str | None
) -> None:
    """The body is thrown away as it comes, so that the caller hears why."""
    headers = [TYPE] if role is None else [TYPE, key_for(server, role)]
    answer = connect(server).send(say.post(PLACE, os.urandom(3 * MIB), *headers)).answer()
    assert answer.status == (401 if role is None else 403)
    assert received.wanted == []


def test_a_key_for_another_model_may_not_upload(server: Any, received: Received, connect: Any, say: Any) -> None:
    raw = say.post(PLACE, b"model", TYPE, key_for(server, "operator", models=("other",)))
    assert connect(server).send(raw).answer().status == 404
    assert received.wanted == []


def test_an_upload_above_the_limit_is_refused_before_it_comes(server: Any, connect: Any) -> None:
    head = f"POST {PLACE} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {4 * MIB + 1}\r\n{TYPE}\r\n\r\n"
    answer = connect(server).send(head.encode()).answer()
    assert answer.status == 413
    assert "--max-upload-mb" in answer.json["error"]["message"]


def test_an_upload_of_unknown_length_ends_at_the_limit(server: Any, received: Received, connect: Any) -> None:
    head = f"POST {PLACE} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n{TYPE}\r\n"
    head += f"{key_for(server, 'operator')}\r\n\r\n"
    piece = bytes(MIB)
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for _ in range(4)]
    answer = connect(server).send(head.encode(), *chunks, b"1\r\nx\r\n").answer()
    assert answer.status == 413
    assert received.wanted == []


def test_other_addresses_keep_their_limits(server: Any, connect: Any, say: Any) -> None:
    body = bytes(2 * MIB)
    header = key_for(server, "admin")
    for path in ("/api/v1/keys", "/api/v1/models/iris/promote", "/api/v1/models/m/predict"):
        answer = connect(server).send(say.post(path, body, "Content-Type: application/json", header)).answer()
        assert answer.status == 413
        assert "--max-upload-mb" not in answer.json["error"]["message"]


def test_a_client_that_hangs_up_leaves_nothing(server: Any, received: Received, connect: Any, say: Any) -> None:
    raw = say.post(PLACE, os.urandom(2 * MIB), TYPE, key_for(server, "operator"))
    client = connect(server)
    client.send(raw[: MIB + MIB // 2])
    server.until(lambda: server.edge.is_busy)
    client.close()
    server.until(lambda: not server.edge.connections)
    assert received.wanted == []


def test_an_upload_that_the_control_half_refuses_leaves_nothing(server: Any, connect: Any, say: Any) -> None:
    raw = say.post(PLACE, os.urandom(2 * MIB), TYPE, key_for(server, "operator"))
    client = connect(server)
    assert client.send(raw).answer().status == 409
    assert client.send(say.get("/livez")).answer().status == 200


def test_an_upload_of_no_known_type_is_refused_after_it_came(server: Any, received: Received, connect: Any, say: Any):
    raw = say.post(PLACE, b"model", "Content-Type: text/plain", key_for(server, "operator"))
    assert connect(server).send(raw).answer().status == 415
    assert received.wanted == []


def test_a_full_disk_is_not_the_callers_fault(
    server: Any, received: Received, connect: Any, say: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(uploads, "write_all", full)
    answer = connect(server).send(say.post(PLACE, b"model", TYPE, key_for(server, "operator"))).answer()
    assert (answer.status, answer.json["error"]["code"]) == (503, "OVERLOADED")
    assert "No space left" in answer.json["error"]["message"]
    assert received.wanted == []
