"""Python's garbage collector, told what a process that serves is like."""

from __future__ import annotations

import gc

THRESHOLD = (20_000, 20, 20)
"""Requests leave no cycles behind, so the collector may look more rarely than by default (700, 10, 10)."""


def settle_down() -> None:
    """Call it once, when the process is about to serve: what has been made so far stays, and is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLD)
