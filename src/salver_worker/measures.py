"""The sums of what a model's own code measures, for the server to ask for. Bounded; safe to read while it counts."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import Any, Dict, List, Tuple

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of a histogram's buckets, those of Prometheus' Java client; one more bucket holds the rest."""
MAX_SERIES = 1000
MAX_TEXT = 200

Labels = Tuple[Tuple[str, str], ...]


class Measures:
    """One row for each name, kind and labels. What is above the bounds is left out: a label may be anything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: Dict[Tuple[str, str, Labels], float] = {}
        self._buckets: Dict[Tuple[str, str, Labels], List[int]] = {}
        self._units: Dict[str, str] = {}

    def note(self, name: str, unit: str, kind: str, labels: Labels, value: float) -> None:
        """A counter counts on, a gauge is set, a histogram counts one more."""
        if not _fits(name, labels):
            return
        key = (name, kind, labels)
        with self._lock:
            if key not in self._values and len(self._values) >= MAX_SERIES:
                return
            self._units[name] = unit
            before = self._values.get(key, 0.0)
            self._values[key] = value if kind == "gauge" else before + value
            if kind == "histogram":
                counts = self._buckets.setdefault(key, [0] * (len(BOUNDS) + 1))
                counts[bisect_left(BOUNDS, value)] += 1

    def rows(self) -> List[Any]:
        """As PONG has them: name, unit, kind, labels, value (a histogram's sum), counts of the buckets."""
        with self._lock:
            return [
                [name, self._units[name], kind, labels, value, list(self._buckets.get((name, kind, labels), ()))]
                for (name, kind, labels), value in self._values.items()
            ]


def _fits(name: str, labels: Labels) -> bool:
    return all(len(text) <= MAX_TEXT for text in (name, *(part for label in labels for part in label)))
