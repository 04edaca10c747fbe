"""What a model's own code may ask about the prediction that runs now."""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import Optional

_deadline: ContextVar[Optional[float]] = ContextVar("deadline", default=None)


def remaining_s() -> Optional[float]:
    """Seconds until nobody waits for the answer any more; below 0 when that has passed, None without a deadline."""
    deadline = _deadline.get()
    return None if deadline is None else deadline - time.monotonic()


def begin(deadline_ms: int) -> None:
    """Note the deadline of the batch that starts now; 0 means that it has none."""
    _deadline.set(time.monotonic() + deadline_ms / 1000.0 if deadline_ms else None)
