"""What a worker's process prints, as lines of text: kept at its end, and told as they come."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable
from typing import BinaryIO

KEPT_LINES = 50
MAX_LINE_BYTES = 4096
CUT = " …"
_ENDS = re.compile(rb"[\r\n]+")


class Lines:
    """Cuts bytes that come in any pieces into lines. Progress bars end theirs with a carriage return; empty ones say
    nothing; what is not UTF-8 is replaced; of a line above the limit only the beginning is kept."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_inside_cut_line = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with these bytes."""
        *whole, self._rest = _ENDS.split(self._rest + data)
        lines = [self._text(raw) for raw in whole]
        if len(self._rest) > MAX_LINE_BYTES:
            lines.append(self._text(self._rest))
            self._rest = b""
            self._is_inside_cut_line = True
        return [line for line in lines if line]

    def end(self) -> list[str]:
        """What was printed without an end of line."""
        return self.feed(b"\n")

    def _text(self, raw: bytes) -> str:
        if self._is_inside_cut_line:
            self._is_inside_cut_line = False
            return ""
        text = raw[:MAX_LINE_BYTES].decode("utf-8", "replace")
        return text + CUT if len(raw) > MAX_LINE_BYTES else text


class Output(asyncio.Protocol):
    """The reading end of a pipe that a worker's standard output and error go to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Callable[[str], None]) -> None:
        self.tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._lines = Lines()
        self._tell = tell
        self._ended: asyncio.Future[None] = loop.create_future()
        self._transport: asyncio.BaseTransport

    @classmethod
    async def open(cls, tell: Callable[[str], None]) -> tuple[Output, BinaryIO]:
        """A pipe: one end is read from now on, the other is for the process that writes. Raises OSError."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        output = cls(loop, tell)
        await loop.connect_read_pipe(lambda: output, os.fdopen(reading, "rb", 0))
        return output, os.fdopen(writing, "wb", 0)

    async def wait(self, timeout_s: float) -> None:
        """Until nobody can print any more, or the time has passed."""
        await asyncio.wait([self._ended], timeout=timeout_s)

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._take(self._lines.feed(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self._take(self._lines.end())
        self._ended.set_result(None)

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            self.tail.append(line)
            self._tell(line)
