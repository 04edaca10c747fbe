"""What a model's own code may ask about the prediction that runs now."""

from __future__ import annotations

import time
from typing import Optional


class Present:
    """The batch that runs, set by the worker's loop: there is one at a time in a process."""

    began_at = 0.0
    """On the monotonic clock."""
    deadline_ms = 0
    """What it had left then; 0 means that it has no deadline."""


present = Present()


def remaining_s() -> Optional[float]:
    """Seconds until nobody waits for the answer any more; below 0 when that has passed, None without a deadline.

    Any thread of the model's may ask.
    """
    if not present.deadline_ms:
        return None
    return present.began_at + present.deadline_ms / 1000.0 - time.monotonic()
