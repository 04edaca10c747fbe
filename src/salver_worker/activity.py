"""What the worker is doing, for PONG: written by the main thread, read by the control thread."""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any, Callable, Dict, List, Optional


class Activity:
    """Its main thread sets the attributes as it goes: a call for each would cost every batch more than they do."""

    def __init__(self) -> None:
        self.is_loading = True
        self.busy_since = 0.0
        """When the batch began that runs now, on the monotonic clock; 0.0 when none does."""
        self.predictions = 0
        self.measures: Optional[Callable[[], List[Any]]] = None
        """What the model's own code measured so far, where it measures anything; called by the control thread."""

    def report(self) -> Dict[str, Any]:
        """The PONG header: resident memory, how long the batch has run that runs now, batches answered so far.

        With what the model's own code measured, where it does.
        """
        since = self.busy_since
        busy_s = time.monotonic() - since if since else 0.0
        report: Dict[str, Any] = {"rss": resident_bytes(), "busy_s": round(busy_s, 6), "predictions": self.predictions}
        if self.measures is not None:
            report["measures"] = self.measures()
        return report


def resident_bytes() -> int:
    """The process's memory now; where the system does not tell, the most it ever was."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
