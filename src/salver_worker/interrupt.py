"""Stops the batch that runs, from another thread: a signal whose handler raises in the main thread.

The handler raises only while the named batch is `running`, and once: a late or repeated CANCEL changes nothing. The
signal is SIGURG, which does nothing where nobody handles it, so it cannot hurt code that installs handlers of its own.
Python code stops at its next instruction; a call into a library goes on until it returns.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Iterator, Optional, Tuple

from salver_worker.failures import Cancelled

SIGNAL = signal.SIGURG
Batch = Tuple[int, int]
"""Number of the link, and id of the PREDICT frame."""


class Interrupt:
    """Lets `cancel` stop what the main thread runs. Made on the main thread.

    The main thread sets `running` itself, around each batch: a call for it would cost every batch more than that does.
    """

    def __init__(self) -> None:
        self._main_thread = threading.main_thread().ident or 0
        self.running: Optional[Batch] = None
        """The batch that may be stopped by raising Cancelled in the main thread."""
        self.unwanted: Optional[Batch] = None
        """The batch that was cancelled last; it may not have begun yet."""
        signal.signal(SIGNAL, self._on_signal)

    def cancel(self, batch: Batch) -> None:
        """Stop this batch if it runs, or as soon as it does. Any thread may call it."""
        self.unwanted = batch
        if self.running == batch:
            signal.pthread_kill(self._main_thread, SIGNAL)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Around what must not be left half done: a CANCEL that comes meanwhile raises Cancelled at its end."""
        batch, self.running = self.running, None
        yield
        self.running = batch
        if batch is not None and self.unwanted == batch:
            self.running = None
            raise Cancelled

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        if self.running is not None and self.running == self.unwanted:
            self.running = None
            raise Cancelled
