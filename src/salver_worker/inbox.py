"""What the control thread hands to the main thread, and a descriptor that becomes readable when something is there."""

from __future__ import annotations

import contextlib
import os
import queue
from typing import Any, Dict, List, NamedTuple

from salver_worker.links import DataLink


class Load(NamedTuple):
    """A LOAD frame; READY or FAILED repeats its id."""

    id: int
    header: Dict[str, Any]


class Inbox:
    def __init__(self) -> None:
        self._loads: queue.SimpleQueue[Load] = queue.SimpleQueue()
        self._links: queue.SimpleQueue[DataLink] = queue.SimpleQueue()
        self.is_stopping = False
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)

    def fileno(self) -> int:
        return self._readable

    def put_load(self, load: Load) -> None:
        self._loads.put(load)

    def wait_for_load(self) -> Load:
        """Blocks until the server has named the model."""
        return self._loads.get()

    def put_link(self, link: DataLink) -> None:
        self._links.put(link)
        self._wake()

    def put_stop(self) -> None:
        self.is_stopping = True
        self._wake()

    def take_links(self) -> List[DataLink]:
        """The links that have come since the last call."""
        self._drain()
        links = []
        while not self._links.empty():
            links.append(self._links.get())
        return links

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full of reasons to wake already
            os.write(self._writable, b"!")

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._readable, 4096)
