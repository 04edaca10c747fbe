"""Lines to a file or a descriptor, written by a thread of their own, so that a slow reader never stops the loop."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque

MAX_WAITING_BYTES = 8 * 1024 * 1024
"""What may wait for a slow reader; lines beyond it are dropped and counted."""
WAIT_S = 0.5
NEWLINE = 10


class LineSink:
    """Takes finished lines; `write` never blocks and never raises."""

    def __init__(self, descriptor: int, *, owns_descriptor: bool) -> None:
        self._descriptor = descriptor
        self._owns_descriptor = owns_descriptor
        self._chunks: deque[bytes] = deque()
        self._waiting_lines = 0
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._is_closed = False
        self._is_torn = False
        """Whether the last write stopped in the middle of a line."""
        self.dropped_lines = 0
        self._thread = threading.Thread(target=self._run, name="salver-log", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, target: str) -> LineSink | None:
        """`-` is standard error, `off` nothing; anything else is a file to append to. Raises OSError."""
        if target == "off":
            return None
        if target == "-":
            return cls(sys.stderr.fileno(), owns_descriptor=False)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return cls(os.open(os.path.expanduser(target), flags, 0o600), owns_descriptor=True)

    def write(self, chunk: bytes, lines: int) -> None:
        """Hand over whole lines."""
        with self._wake:
            if self._is_closed or self._waiting_bytes + len(chunk) > MAX_WAITING_BYTES:
                self.dropped_lines += lines
                return
            self._chunks.append(chunk)
            self._waiting_bytes += len(chunk)
            self._waiting_lines += lines
            self._wake.notify()

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, as far as that goes in the time."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()
        self._thread.join(timeout_s)
        if self._owns_descriptor and not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._chunks and not self._is_closed:
                    self._wake.wait()
                if not self._chunks:
                    return
                chunk = b"".join(self._chunks)
                lines, self._waiting_lines = self._waiting_lines, 0
                self._chunks.clear()
            if not self._write_all(chunk):
                with self._wake:
                    self.dropped_lines += lines
            with self._wake:
                self._waiting_bytes -= len(chunk)

    def _write_all(self, chunk: bytes) -> bool:
        view = memoryview(b"\n" + chunk if self._is_torn else chunk)
        written = 0
        try:
            while written < len(view):
                written += self._write_some(view[written:])
        except OSError:  # a full disk or a closed pipe must not touch the server
            if written:
                self._is_torn = view[written - 1] != NEWLINE
            return False
        self._is_torn = False
        return True

    def _write_some(self, view: memoryview) -> int:
        while True:
            try:
                return os.write(self._descriptor, view)
            except BlockingIOError:  # whoever shares a terminal or pipe with the server may have made it so
                if self._is_closed:
                    raise
                select.select((), (self._descriptor,), (), WAIT_S)
