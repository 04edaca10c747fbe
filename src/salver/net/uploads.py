"""Bodies too large for memory: artefacts on their way to the repository. They go to a file while they arrive.

The edge bounds every body by --max-body-mb; on a connection that `UploadProtocol` serves, the addresses that take
uploads have the bound of --max-upload-mb instead. That the caller may send it is known before the first byte is kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from salver.errors import Code, LoadError, RequestError
from salver.net.edge import Edge
from salver.net.head import Fault
from salver.net.http import LaneProtocol

WRITE_BYTES = 1024 * 1024
"""How much is gathered before it is written."""
MAX_DISCARDED_BYTES = 64 * 1024 * 1024
QUICK_BYTES = 16 * 1024 * 1024
"""What is removed at once."""

Receive = Callable[[], Awaitable[Any]]
IsUpload = Callable[[str, str], bool]
"""Whether a method and a path take an upload."""


class ClientGone(Exception):
    """The client hung up before its request was whole."""


class Uploads:
    """Where a front end puts uploads. The folder is this user's alone; a server that starts empties it."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._folder = folder

    async def discard(self, receive: Receive, length: int | None) -> bool:
        """Take in and throw away the body of a caller who is refused, so that he reads why; False for one too large."""
        if length is None or length > MAX_DISCARDED_BYTES:
            return False
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if not message["more_body"]:
                return True

    async def receive(self, receive: Receive) -> Path | None:
        """The body as a file, which is the caller's to remove; None for no body.

        Raises RequestError(PAYLOAD_TOO_LARGE), LoadError when the disk refuses, ClientGone.
        """
        descriptor, name = await asyncio.to_thread(tempfile.mkstemp, dir=self._folder)
        path = Path(name)
        try:
            size = await self._write(descriptor, receive)
        except OSError as error:
            drop(path)
            raise LoadError(
                Code.OVERLOADED,  # the disk's fault and not the caller's, who may come again
                f"The upload cannot be kept: {error.strerror}.",
                fix="Make room in the server's data directory.",
            ) from error
        except BaseException:
            drop(path)
            raise
        finally:
            os.close(descriptor)
        if size == 0:
            drop(path)
            return None
        return path

    async def _write(self, descriptor: int, receive: Receive) -> int:
        size = 0
        waiting = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            waiting += message["body"]
            size += len(message["body"])
            more = message["more_body"]
            if size > self.max_bytes:
                raise too_large(self.max_bytes)
            if waiting and (len(waiting) >= WRITE_BYTES or not more):
                await asyncio.to_thread(write_all, descriptor, bytes(waiting))
                waiting.clear()
        return size


def drop(path: Path) -> None:
    """Remove an upload; a large one in a thread, since it may take the disk a second to be rid of it."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > QUICK_BYTES:
            asyncio.get_running_loop().run_in_executor(None, functools.partial(path.unlink, missing_ok=True))
        else:
            path.unlink()


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def too_large(max_bytes: int) -> RequestError:
    return RequestError(
        Code.PAYLOAD_TOO_LARGE, f"The artefact is above the limit of {max_bytes} bytes (--max-upload-mb)."
    )


class UploadProtocol(LaneProtocol):
    """A connection on which some addresses take bodies above the edge's limit."""

    def __init__(
        self, edge: Edge, config: uvicorn.Config, state: ServerState, is_upload: IsUpload, max_upload_bytes: int
    ) -> None:
        super().__init__(edge, config, state)
        self._is_upload = is_upload
        self._max_upload_bytes = max(max_upload_bytes, edge.max_body_bytes)
        self._is_uploading = False
        """Whether the body that is arriving is an upload."""

    def _oversize(self) -> Fault | None:
        """The edge asks this of each head. Only where a body may be too large for it, the address matters."""
        self._is_uploading = False
        is_open = self._facts is not None and self._facts.is_chunked
        if (is_open or self._length > self.edge.max_body_bytes) and self._is_for_upload():
            self._is_uploading = True
            length, self._length = self._length, 0
            fault = super()._oversize()
            self._length = length
            return fault or ((413, self._too_large) if length > self._max_upload_bytes else None)
        return super()._oversize()

    def on_body(self, body: bytes) -> None:
        if not self._is_uploading:
            super().on_body(body)
            return
        self.body_bytes += len(body)
        if self.body_bytes > self._max_upload_bytes:
            self.refuse(413, self._too_large)
        elif not self.line.is_deaf:
            HttpToolsProtocol.on_body(self, body)

    def _is_for_upload(self) -> bool:
        path = unquote(self.url.partition(b"?")[0].decode("latin-1"))
        return self._is_upload(self.parser.get_method().decode("latin-1"), path)

    @property
    def _too_large(self) -> str:
        return too_large(self._max_upload_bytes).message
