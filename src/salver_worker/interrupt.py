"""Stops the batch that runs, from another thread: a signal whose handler raises in the main thread.

The handler raises only while the named batch is inside `run`, and once: a late or repeated CANCEL changes nothing. The
signal is SIGURG, which does nothing where nobody handles it, so it cannot hurt code that installs handlers of its own.
Python code stops at its next instruction; a call into a library goes on until it returns.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Callable, Optional, Tuple, TypeVar

from salver_worker.failures import Cancelled

SIGNAL = signal.SIGURG
Batch = Tuple[int, int]
"""Number of the link, and id of the PREDICT frame."""
Result = TypeVar("Result")


class Interrupt:
    """Runs batches on the main thread so that `cancel` can stop them. Made on the main thread."""

    def __init__(self) -> None:
        self._main_thread = threading.main_thread().ident or 0
        self._running: Optional[Batch] = None
        self._unwanted: Optional[Batch] = None
        signal.signal(SIGNAL, self._on_signal)

    def run(self, batch: Batch, function: Callable[..., Result], *arguments: Any) -> Result:
        """What the function returns; raises Cancelled when the batch is cancelled before or while it runs."""
        self._running = batch
        try:
            if self._unwanted == batch:
                raise Cancelled
            return function(*arguments)
        finally:
            self._running = None

    def cancel(self, batch: Batch) -> None:
        """Stop this batch if it runs, or as soon as it does. Any thread may call it."""
        self._unwanted = batch
        if self._running == batch:
            signal.pthread_kill(self._main_thread, SIGNAL)

    def _on_signal(self, number: int, frame: Optional[FrameType]) -> None:
        if self._running is not None and self._running == self._unwanted:
            self._running = None
            raise Cancelled
