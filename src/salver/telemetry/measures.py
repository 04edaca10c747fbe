"""What the code of models measures: as a worker tells it, and added up over workers. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec


class Measure(msgspec.Struct, frozen=True, array_like=True):
    """What the code of a model measured so far: a counter's sum, a gauge's last value, or a histogram."""

    name: str
    unit: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[tuple[str, str], ...]
    value: float
    """Of a histogram: the sum of all values."""
    buckets: tuple[int, ...] = ()
    """Of a histogram: how many values there were up to each of the bounds that ``salver_worker/measures.py`` has."""


def added_up(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """One for each name, kind and labels: counters and histograms are sums, of gauges the last one counts."""
    found: dict[tuple[str, str, tuple[tuple[str, str], ...]], Measure] = {}
    for measure in measures:
        key = (measure.name, measure.kind, measure.labels)
        known = found.get(key)
        found[key] = measure if known is None or measure.kind == "gauge" else _sum(known, measure)
    return tuple(found.values())


def lasting(measures: Iterable[Measure]) -> tuple[Measure, ...]:
    """What of them stays when their worker is gone: a gauge was that worker's."""
    return tuple(measure for measure in measures if measure.kind != "gauge")


def _sum(one: Measure, other: Measure) -> Measure:
    size = max(len(one.buckets), len(other.buckets))
    buckets = tuple(
        sum(each.buckets[place] for each in (one, other) if place < len(each.buckets)) for place in range(size)
    )
    return msgspec.structs.replace(one, value=one.value + other.value, buckets=buckets)
