"""What a model's own code may ask about the prediction that runs now."""

from __future__ import annotations

import time
from typing import Optional


class _Present:
    """The batch that runs: there is one at a time in a process."""

    began_at = 0.0
    deadline_ms = 0


_present = _Present()


def remaining_s() -> Optional[float]:
    """Seconds until nobody waits for the answer any more; below 0 when that has passed, None without a deadline.

    Any thread of the model's may ask.
    """
    if not _present.deadline_ms:
        return None
    return _present.began_at + _present.deadline_ms / 1000.0 - time.monotonic()


def begin(deadline_ms: int, now: float) -> None:
    """Note the deadline of the batch that starts now, on the monotonic clock; 0 means that it has none."""
    _present.began_at = now
    _present.deadline_ms = deadline_ms
