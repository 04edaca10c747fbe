"""What this Salver says it is: its version, and whether its prediction lane is compiled."""

from __future__ import annotations

import importlib.util

from salver import __version__

LANE = "salver.serving.batching.ticket"
"""One of the files that the wheel of a release has compiled; all of them are, or none is."""


def is_lane_compiled() -> bool:
    """Found without running it: nothing heavy is imported for this."""
    spec = importlib.util.find_spec(LANE)
    return spec is not None and not str(spec.origin).endswith(".py")


def version_text() -> str:
    return f"{__version__} (compiled lane)" if is_lane_compiled() else __version__
