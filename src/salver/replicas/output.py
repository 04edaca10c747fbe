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
READ_BYTES = 65536
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


class Output:
    """The reading end of a pipe that a worker's standard output and error go to.

    The loop only watches it. A pipe that is given to uvloop is closed twice, by libuv and by its file, and in between
    its number may be that of a file that a thread has just opened.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, reading: int, tell: Callable[[str], None]) -> None:
        self.tail: deque[str] = deque(maxlen=KEPT_LINES)
        self._lines = Lines()
        self._tell = tell
        self._ended: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._reading = reading
        self._is_closed = False
        loop.add_reader(reading, self._readable)

    @classmethod
    def open(cls, tell: Callable[[str], None]) -> tuple[Output, BinaryIO]:
        """A pipe: one end is read from now on, the other is for the process that writes. Raises OSError."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        return cls(asyncio.get_running_loop(), reading, tell), os.fdopen(writing, "wb", 0)

    async def wait(self, timeout_s: float) -> None:
        """Until nobody can print any more, or the time has passed."""
        await asyncio.wait([self._ended], timeout=timeout_s)

    def close(self) -> None:
        """No more is read; the descriptor goes once the loop no longer looks at it."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._reading)
        self._loop.call_soon(os.close, self._reading)
        self._take(self._lines.end())
        self._ended.set_result(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._reading, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self._take(self._lines.feed(data))
        else:
            self.close()

    def _take(self, lines: list[str]) -> None:
        for line in lines:
            self.tail.append(line)
            self._tell(line)
