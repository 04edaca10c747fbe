"""A real worker process, and the server's side of the frame protocol in blocking form.

It is written from `docs/frame-protocol.md` alone and shares only the prefix, the padding and the form of BYTES with the
worker, so that a test fails when the two sides drift apart.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from salver_worker import frames

SOURCE = Path(__file__).resolve().parents[2] / "src"
PATIENCE_S = 60.0


class Answer(NamedTuple):
    """One frame from the worker."""

    verb: int
    id: int
    header: dict[str, Any]
    body: bytes

    @property
    def arrays(self) -> dict[str, Any]:
        """The tensors of a RESULT or PART."""
        arrays, offset = {}, 0
        for name, datatype, shape, size in self.header["tensors"]:
            raw = self.body[offset : offset + size]
            arrays[name] = decode(datatype, shape, raw)
            offset += size + frames.padding(size)
        assert offset == len(self.body)
        return arrays

    @property
    def responses(self) -> list[tuple[dict[str, Any], bytes]]:
        """The rows of a body runtime's RESULT, each with its bytes."""
        pairs, offset = [], 0
        for row in self.header["responses"]:
            pairs.append((row, self.body[offset : offset + row["size"]]))
            offset += row["size"]
        assert offset == len(self.body)
        return pairs


def decode(datatype: str, shape: list[int], raw: bytes) -> Any:
    if datatype == "BYTES":
        array = np.empty(frames.element_count(shape), object)
        array[:] = frames.decode_bytes_elements(raw, array.size)
        return array.reshape(shape)
    dtype = "<u2" if datatype == "BF16" else frames.NUMPY_NAMES[datatype]
    return np.frombuffer(raw, dtype).reshape(shape)


class Tensor(NamedTuple):
    """A tensor as it goes on the link: its row of the header, and its bytes unless they lie in a slab."""

    row: list[Any]
    raw: bytes


def tensor(name: str, values: Any, datatype: str) -> Tensor:
    if datatype == "BYTES":
        array = np.asarray(values, object)
        raw = frames.encode_bytes_elements(
            [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
        )
    else:
        array = np.asarray(values, "<u2" if datatype == "BF16" else frames.NUMPY_NAMES[datatype])
        raw = array.tobytes()
    return Tensor([name, datatype, list(array.shape), len(raw)], raw)


class Wire:
    """Whole frames over a blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
        self.socket = connection

    def send(self, verb: int, id: int = 0, header: Any = None, body: bytes = b"", deadline_ms: int = 0) -> None:
        raw = b"" if header is None else json.dumps(header, separators=(",", ":")).encode()
        self.socket.sendall(frames.pack_prefix(verb, id, deadline_ms, len(raw), len(body)) + raw + body)

    def receive(self) -> Answer:
        prefix = frames.unpack_prefix(self._exactly(frames.PREFIX_SIZE))
        header = self._exactly(prefix.header_length)
        body = self._exactly(prefix.body_length)
        return Answer(prefix.verb, prefix.id, json.loads(header or b"{}"), body)

    def _exactly(self, size: int) -> bytes:
        pieces, missing = [], size
        while missing:
            piece = self.socket.recv(min(missing, 1 << 20))
            if not piece:
                raise EOFError
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        self.socket.close()


class DataLink(Wire):
    """The front end's side of one data link."""

    def __init__(self, connection: socket.socket, number: int, slab: memoryview | None) -> None:
        super().__init__(connection)
        self.number = number
        self.slab = slab
        self._id = 0

    def send_predict(
        self,
        *tensors: Tensor,
        signature: str = "serving_default",
        deadline_ms: int = 0,
        wants_parts: bool = False,
        **parameters: Any,
    ) -> int:
        header: dict[str, Any] = {"signature": signature, "tensors": [each.row for each in tensors]}
        if wants_parts:
            header["wants_parts"] = True
        if parameters:
            header["parameters"] = parameters
        body = b"".join(each.raw + bytes(frames.padding(len(each.raw))) for each in tensors)
        self._id += 1
        self.send(frames.PREDICT, self._id, header, body, deadline_ms)
        return self._id

    def predict(self, *tensors: Tensor, **options: Any) -> Answer:
        id = self.send_predict(*tensors, **options)
        answer = self.receive()
        assert answer.id == id
        return answer

    def stream(self, *tensors: Tensor, **options: Any) -> tuple[list[Answer], Answer]:
        """The parts of an answer, and what ends it."""
        self.send_predict(*tensors, wants_parts=True, **options)
        return self.receive_parts()

    def receive_parts(self) -> tuple[list[Answer], Answer]:
        parts = []
        while (answer := self.receive()).verb == frames.PART:
            assert answer.id == self._id
            parts.append(answer)
        return parts, answer

    def ask(self, *requests: list[tuple[str, str, bytes]], headers: dict[str, str] | None = None) -> Answer:
        """Requests to a body runtime: each is a list of (name, content type, bytes)."""
        self.send_requests(*requests, headers=headers)
        return self.receive()

    def send_requests(
        self,
        *requests: list[tuple[str, str, bytes]],
        headers: dict[str, str] | None = None,
        takers: tuple[int, ...] = (),
    ) -> None:
        """`takers` are the places of the requests whose callers take parts."""
        rows = [
            {
                "id": f"request-{index}",
                "headers": headers or {},
                "parts": [[name, kind, len(data)] for name, kind, data in parts],
                **({"wants_parts": True} if index in takers else {}),
            }
            for index, parts in enumerate(requests)
        ]
        self._id += 1
        body = b"".join(data for parts in requests for _, _, data in parts)
        self.send(frames.PREDICT, self._id, {"signature": "serving_default", "requests": rows}, body)

    def put_in_slab(self, each: Tensor, offset: int) -> Tensor:
        assert self.slab is not None
        self.slab[offset : offset + len(each.raw)] = each.raw
        return Tensor([*each.row, offset], b"")


class WorkerProcess:
    """One worker, driven by hand. Used as a context manager it is killed at the end, whatever state it is in."""

    def __init__(
        self,
        folder: Path,
        python: str | None = None,
        variables: dict[str, str] | None = None,
        command: Sequence[str] = (),
    ) -> None:
        """`command` is a program that stands instead of the Python worker."""
        ours, theirs = socket.socketpair()
        self.folder = folder
        self.control = Wire(ours)
        self.log_path = folder / "worker.log"
        home = folder / "home"
        home.mkdir(exist_ok=True)
        interpreter = python or os.environ.get("SALVER_TEST_WORKER_PYTHON") or sys.executable
        with theirs, self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*(command or (interpreter, "-m", "salver_worker")), "--control-fd", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=home,
                env={"PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"], "HOME": str(home), **(variables or {})},
                start_new_session=True,
            )
        self._links: list[DataLink] = []

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self.control.close()
        for link in self._links:
            link.close()

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace")

    def load(self, runtime: str, path: Path | str = "", **changes: Any) -> Answer:
        """READY or FAILED. `changes` are keys of LOAD, or of its manifest."""
        manifest = {"inputs": [], "outputs": [], "example": None, "handler": None}
        header: dict[str, Any] = {
            "protocol": 1,
            "model": "m",
            "version": 1,
            "runtime": runtime,
            "path": str(path),
            "folder": str(self.folder),
            "manifest": manifest,
            "options": {"threads": 1},
            "batch_rows": 64,
        }
        for name, value in changes.items():
            (header if name in header else manifest)[name] = value
        self.control.send(frames.LOAD, 7, header)
        answer = self.control.receive()
        assert answer.id == 7
        return answer

    def attach(self, number: int = 1, slab_bytes: int = 0) -> DataLink:
        ours, theirs = socket.socketpair()
        descriptors, slab = [theirs.fileno()], None
        memory = -1
        if slab_bytes:
            import mmap

            memory = os.memfd_create("slab")
            os.ftruncate(memory, slab_bytes)
            slab = memoryview(mmap.mmap(memory, slab_bytes))
            descriptors.append(memory)
        raw = frames.encode_frame(frames.ATTACH, 0, {"link": number, "slab_bytes": slab_bytes})
        socket.send_fds(self.control.socket, [raw], descriptors)
        theirs.close()
        if slab_bytes:
            os.close(memory)
        link = DataLink(ours, number, slab)
        self._links.append(link)
        return link

    def ping(self) -> dict[str, Any]:
        self.control.send(frames.PING, 99, {})
        answer = self.control.receive()
        assert (answer.verb, answer.id) == (frames.PONG, 99)
        return answer.header

    def cancel(self, link: DataLink, id: int) -> None:
        self.control.send(frames.CANCEL, id, {"link": link.number})

    def stop(self) -> int:
        self.control.send(frames.STOP)
        return self.wait()

    def wait(self) -> int:
        """The exit status."""
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
