"""A whole front end on a loop of its own, with a worker that the test plays and a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
import pytest
import uvloop

from salver.access.base import AccessSettings
from salver.errors import Code, SalverError
from salver.net.base import NetSettings
from salver.net.edge import Edge
from salver.net.http import LaneProtocol
from salver.net.ports import open_port
from salver.operations.catalogue import OPERATIONS
from salver.processes.base import ControlRequest, Door
from salver.processes.frontend import FrontEnd, FrontEndSettings
from salver.replicas.slab import Slab
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.sink import LineSink
from salver.types import (
    Array,
    BatchSettings,
    ModelStatus,
    ModelVersion,
    PayloadKind,
    Signature,
    TensorSpec,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.base import GrpcWire
from salver.wire.native.rest import NativeWire
from salver.wire.openinference.rest import OpenInferenceWire
from salver.wire.tfserving.rest import TfServingWire
from salver.wire.torchserve.inference import MmsWire
from salver_worker import frames

sys.path.append(str(Path(__file__).parent))  # the module beside this file is imported by name

from burst_stage import Burst

WIDE = 16384
"""Values in a row of the model `wide`: 64 KiB."""
WAIT_S = 30.0
DATATYPES = {np.dtype(name): datatype for datatype, name in frames.NUMPY_NAMES.items()}
T = TypeVar("T")


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


class Client:
    """One connection to the server, byte by byte."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=WAIT_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def send(self, *pieces: bytes) -> Client:
        for piece in pieces:
            self.sock.sendall(piece)
        return self

    def answer(self, *, is_head: bool = False) -> Answer:
        """The next answer, whole; interim answers are passed over."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        version, status, _ = status_line.split(" ", 2)
        assert version == "HTTP/1.1"
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            assert name.lower() not in headers, f"{name} is there twice"
            headers[name.lower()] = value
        length = 0 if is_head or status in ("100", "204", "304") else int(headers["content-length"])
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return Answer(int(status), headers, body)

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError(f"the server closed, after {self._rest!r}")
        self._rest += data

    def read(self, size: int) -> None:
        """Take so many bytes, and keep them for `answer`."""
        until = len(self._rest) + size
        while len(self._rest) < until:
            self._more()

    def has_ended(self) -> bool:
        """Whether the server has closed its side, with nothing left to read. Waits for it."""
        with contextlib.suppress(ConnectionResetError):
            self._rest += self.sock.recv(65536)
        return self._rest == b""

    def is_silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes for a moment."""
        self.sock.settimeout(seconds)
        try:
            self._rest += self.sock.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(WAIT_S)
        return False

    def close(self) -> None:
        self.sock.close()


class ModelFails(Exception):
    """Raised by what a test plays as the model's code."""

    def __init__(self, code: str = "MODEL_ERROR", message: str = "It failed.") -> None:
        super().__init__(message)
        self.header = {"code": code, "message": message, "exception": "ValueError", "detail": "trace"}


def sum_and_first(x: Array) -> dict[str, Array]:
    return {"y": np.ascontiguousarray(np.stack([x.sum(axis=1), x[:, 0]], axis=1), "<f4")}


class HandWorker(asyncio.Protocol):
    """The far end of a data link. Answers at once, or holds what it is asked until `let_go`."""

    def __init__(self, slab: Slab) -> None:
        self._slab = slab
        self._buffer = bytearray()
        self.holds = False
        self.pause_s = 0.0
        self.model: Callable[[Array], dict[str, Array]] = sum_and_first
        self.rows: list[int] = []
        """Of each batch of tensors that was answered."""
        self.held: list[tuple[int, dict[str, Any], bytes]] = []
        self.asked = 0
        self.body_answer: dict[str, Any] = {}
        """What the model of bodies answers besides the bytes it was sent: status, phrase, headers, content_type."""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= frames.PREFIX_SIZE:
            prefix = frames.unpack_prefix(self._buffer)
            body_at = frames.PREFIX_SIZE + prefix.header_length
            end = body_at + prefix.body_length
            if len(self._buffer) < end:
                return
            header = frames.decode_header(self._buffer[frames.PREFIX_SIZE : body_at])
            body = bytes(self._buffer[body_at:end])
            del self._buffer[:end]
            self.asked += 1
            self.held.append((prefix.id, header, body))
        if self.pause_s:
            asyncio.get_running_loop().call_later(self.pause_s, self.let_go)
        elif not self.holds:
            self.let_go()

    def let_go(self) -> None:
        held, self.held = self.held, []
        for id, header, body in held:
            assert self.transport is not None
            self.transport.write(self._reply(id, header, body))

    def _reply(self, id: int, header: dict[str, Any], body: bytes) -> bytes:
        if "requests" in header:
            return self._reply_with_bodies(id, header, body)
        _, _, shape, size, *place = header["tensors"][0]
        places = [] if not place else [(place[0], size)] if isinstance(place[0], int) else place[0]
        raw = b"".join(os.pread(self._slab.fd, length, at) for at, length in places) or body[:size]
        x = np.frombuffer(raw, "<f4").reshape(shape)
        self.rows.append(len(x))
        try:
            return frames.encode_frame(frames.RESULT, id, *encoded(self.model(x)))
        except ModelFails as failure:
            return frames.encode_frame(frames.ERROR, id, failure.header, b"")

    def _reply_with_bodies(self, id: int, header: dict[str, Any], body: bytes) -> bytes:
        fixed = {"status": 200, "phrase": "", "headers": {}, "content_type": None, **self.body_answer}
        sizes = [sum(part[2] for part in request["parts"]) for request in header["requests"]]
        return frames.encode_frame(frames.RESULT, id, {"responses": [{**fixed, "size": size} for size in sizes]}, body)


def encoded(outputs: dict[str, Array]) -> tuple[dict[str, Any], bytes]:
    """Header and body of a worker's answer."""
    rows: list[Any] = []
    body = b""
    for name, array in outputs.items():
        is_text = array.dtype.kind == "O"
        raw = frames.encode_bytes_elements(array.ravel().tolist()) if is_text else array.tobytes()
        rows.append([name, "BYTES" if is_text else DATATYPES[array.dtype], list(array.shape), len(raw)])
        body += raw + b"\0" * frames.padding(len(raw))
    return {"tensors": rows}, body


class NoControl:
    """The control half, as far as these tests need one."""

    def __init__(self) -> None:
        self.denials: list[Any] = []
        self.cancelled: list[tuple[str, int, int]] = []
        self.replaced: list[str] = []
        self.operations: list[ControlRequest] = []
        self.answer: Callable[[ControlRequest], Any] | None = None
        """What becomes of operations; None: they are refused."""

    async def operate(self, request: ControlRequest) -> msgspec.Raw:
        self.operations.append(request)
        if self.answer is not None:
            return msgspec.Raw(msgspec.msgpack.encode(self.answer(request)))
        raise SalverError(Code.CONFLICT, "There is no control half in this test.")

    def denied(self, event: Any) -> None:
        self.denials.append(event)

    def cancel_batch(self, replica_id: str, link_number: int, batch_id: int) -> None:
        self.cancelled.append((replica_id, link_number, batch_id))

    def replace_worker(self, replica_id: str, reason: str) -> None:
        self.replaced.append(replica_id)

    async def wake(self, model: str, version: int | None) -> None: ...


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()} {record.exc_info and record.exc_info[1]!r}")


class Server:
    """A front end on a thread of its own. `on_loop` runs something there; nothing else may touch it."""

    def __init__(
        self,
        net: NetSettings,
        anonymous: Any,
        slab_bytes: int,
        uploads: str | None = None,
        log_path: str = "off",
        grpc_wires: Mapping[str, GrpcWire] | None = None,
    ) -> None:
        """With `grpc_wires` there is a port of gRPC too."""
        self.now = 1000.0
        self.records = Records()
        self.control = NoControl()
        self.slab = Slab(slab_bytes)
        self.full = self.slab.free_bytes
        self._net = net
        self._log_path = log_path
        self._grpc_wires = grpc_wires or {}
        self.versions: dict[str, tuple[VersionInfo, ...]] = {}
        """Of each model, the default one first."""
        self._anonymous = anonymous
        self._uploads = uploads
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def __enter__(self) -> Server:
        for name in ("salver", "asyncio", "uvicorn.error"):
            logging.getLogger(name).addHandler(self.records)
        self._thread.start()
        assert self._ready.wait(WAIT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.until(lambda: True)
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_S)
        for name in ("salver", "asyncio", "uvicorn.error"):
            logging.getLogger(name).removeHandler(self.records)

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        sock = open_port("127.0.0.1", 0, share=False)
        self.address: tuple[str, int] = sock.getsockname()
        door = Door(host="127.0.0.1", port=self.address[1], wires=("tfserving", "mms", "openinference", "native"))
        doors = [door]
        if self._grpc_wires:
            self._reserved = open_port("127.0.0.1", 0, share=True)
            self.grpc_port: int = self._reserved.getsockname()[1]
            doors.append(Door(host="127.0.0.1", port=self.grpc_port, wires=tuple(self._grpc_wires), is_grpc=True))
        self.front_end = FrontEnd(
            FrontEndSettings(
                net=self._net,
                access=AccessSettings(anonymous=self._anonymous),
                deadline_s=30.0,
                deadline_grace_s=5.0,
                socket_path=None,
                uploads=self._uploads,
            ),
            doors,
            lambda _: sock,
            self.slab,
            OPERATIONS,
            self.control,
            lambda _: {
                "tfserving": TfServingWire(max_body_bytes=self.edge_max_body),
                "mms": MmsWire(lambda: None),
                "openinference": OpenInferenceWire(max_body_bytes=self.edge_max_body),
                "native": NativeWire(self.edge_max_body),
            },
            AccessLog(LineSink.open(self._log_path), self.loop),
            self.loop,
            make_grpc_wires=lambda _: self._grpc_wires,
        )
        self.workers: dict[str, HandWorker] = {}
        for name, width in (("m", 2), ("wide", WIDE), ("bodies", 0)):
            (self.workers[name],) = await self.serve_now(version_of(name, width))
        self.worker = self.workers["m"]
        await self.front_end.listen()
        self.edge: Edge = self.front_end._edges[0]
        self.edge._clock = lambda: self.now
        self._ready.set()
        await self._stop.wait()
        await self.front_end.finish(0.0)
        if self._grpc_wires:
            self._reserved.close()

    @property
    def edge_max_body(self) -> int:
        return int(self._net.max_body_mb * 1024 * 1024)

    def serve(self, *versions: VersionInfo, replicas: int = 1) -> list[HandWorker]:
        """Serve these versions of a model and no others, the first of them by default; the workers of new ones."""
        return self.run(self.serve_now(*versions, replicas=replicas))

    async def serve_now(self, *versions: VersionInfo, replicas: int = 1) -> list[HandWorker]:
        queues = self.front_end.pipeline.queues
        added = [version.id for version in versions if version.id not in queues]
        self.versions[versions[0].id.model] = versions
        await self.front_end.publish([status_of(served) for served in self.versions.values()])
        return [await self._attach(id, number) for id in added for number in range(1, replicas + 1)]

    async def _attach(self, version: ModelVersion, number: int) -> HandWorker:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        worker = HandWorker(self.slab)
        await self.loop.create_unix_connection(lambda: worker, sock=theirs)
        await self.front_end.attach(version, f"{version.model}-r{number}", 1, ours)
        return worker

    def on_loop(self, function: Callable[[], T]) -> T:
        async def call() -> T:
            return function()

        return self.run(call())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(WAIT_S)

    def until(self, is_so: Callable[[], bool]) -> None:
        """Return once it is so, looked at on the loop."""

        deadline = time.monotonic() + WAIT_S
        while not self.on_loop(is_so):
            assert time.monotonic() < deadline, "it never was so"

    def advance(self, seconds: float) -> None:
        """A sweep now, and one so much later."""
        self.on_loop(self._sweep)
        self.now += seconds
        self.on_loop(self._sweep)

    def _sweep(self) -> None:
        for connection in list(self.edge.connections):
            connection.check_pace(self.now)

    @property
    def connection(self) -> LaneProtocol:
        """The only connection there is."""
        self.until(lambda: len(self.edge.connections) == 1)
        (connection,) = self.edge.connections
        return connection

    @property
    def has_nothing_left(self) -> bool:
        """Whether everything that requests take has been given back."""
        return self.slab.free_bytes == self.full and self.front_end.pipeline.is_idle


def status_of(served: tuple[VersionInfo, ...]) -> ModelStatus:
    versions = tuple(
        VersionStatus(
            id=info.id,
            state=VersionState.READY,
            runtime=info.runtime,
            source="",
            environment="",
            replicas_wanted=1,
            info=info,
        )
        for info in served
    )
    return ModelStatus(name=served[0].id.model, versions=versions, default_version=served[0].id.version)


def version_of(name: str, width: int, **changes: Any) -> VersionInfo:
    """A model of rows of `width` numbers; of bodies, when that is 0."""
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, width)),),
        outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 2)),),
    )
    fields: dict[str, Any] = {
        "id": ModelVersion(name, 1),
        "runtime": "hand",
        "payload": PayloadKind.TENSORS if width else PayloadKind.BODY,
        "signatures": {"serving_default": signature} if width else {},
        "batching": BatchSettings(max_batch_rows=64 if width else 1),
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**(fields | changes))


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Servers by their settings. At the end nothing of them may have failed or be left."""
    with contextlib.ExitStack() as stack:
        servers: list[Server] = []

        def make(
            *,
            anonymous: str = "all",
            slab_bytes: int = 4 * 1024 * 1024,
            uploads: str | None = None,
            log_path: str = "off",
            grpc_wires: Mapping[str, GrpcWire] | None = None,
            **net: Any,
        ) -> Server:
            settings = NetSettings(port=0, **net)
            server = stack.enter_context(Server(settings, anonymous, slab_bytes, uploads, log_path, grpc_wires))
            servers.append(server)
            return server

        yield make
        for server in servers:
            assert server.records.lines == []


@pytest.fixture
def running(make_server: MakeServer) -> Server:
    return make_server()


@pytest.fixture
def connect() -> Iterator[Callable[[Server], Client]]:
    """Connections, closed at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(contextlib.closing(Client(server.address)))


@pytest.fixture
def burst(running: Server, connect: Callable[[Server], Client]) -> Burst:
    return Burst(running, connect)


def predict(value: float = 1.0, *headers: str, model: str = "m", extra: bytes = b"", wire: str = "native") -> bytes:
    """A prediction for [value, value], with further header lines."""
    path, body = question([[value, value]], wire, model)
    return post(path, body + extra, "Content-Type: application/json", *headers)


def question(rows: list[list[float]], wire: str, model: str = "m") -> tuple[str, bytes]:
    """Where a wire is asked for a prediction of these rows of `x`, and how."""
    values = b",".join(b"[%b]" % b",".join(b"%r" % value for value in row) for row in rows)
    if wire != "openinference":
        path = f"/api/v1/models/{model}/predict" if wire == "native" else f"/v1/models/{model}:predict"
        return path, b'{"instances":[%b]}' % values
    tensor = b'{"name":"x","datatype":"FP32","shape":[%d,%d],"data":[%b]}' % (len(rows), len(rows[0]), values)
    return f"/v2/models/{model}/infer", b'{"inputs":[%b]}' % tensor


def post(path: str, body: bytes, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode("latin-1")


def chunked(path: str, chunks: list[bytes], *trailers: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    head += "Content-Type: application/json\r\n\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head.encode() + body + b"0\r\n" + b"".join(line + b"\r\n" for line in trailers) + b"\r\n"


def wide_body(value: float, rows: int = 1) -> bytes:
    """The raw body of a prediction of `wide`."""
    return np.full((rows, WIDE), value, "<f4").tobytes()


class Say:
    """The words that requests are made of."""

    predict = staticmethod(predict)
    question = staticmethod(question)
    version = staticmethod(version_of)
    fails = ModelFails
    post = staticmethod(post)
    get = staticmethod(get)
    chunked = staticmethod(chunked)
    wide_body = staticmethod(wide_body)

    @staticmethod
    def wide(value: float, *headers: str, rows: int = 1) -> bytes:
        return post(
            "/api/v1/models/wide/predict",
            wide_body(value, rows),
            "Content-Type: application/octet-stream",
            *headers,
        )


@pytest.fixture
def say() -> type[Say]:
    return Say
