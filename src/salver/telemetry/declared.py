"""The metrics that TorchServe's metrics.yaml declares for handlers: their names and types. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

SECTION = "model_metrics"
KINDS = ("counter", "gauge", "histogram")


class DeclaredMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of handlers."""

    name: str
    kind: str
    """counter, gauge or histogram."""
    unit: str
    dimensions: tuple[str, ...]


def declared_metrics(document: Mapping[str, Any]) -> tuple[DeclaredMetric, ...]:
    """Those of `model_metrics`; a later one of a name replaces an earlier one. Raises ValueError, which says why."""
    section = document.get(SECTION)
    if not isinstance(section, Mapping) or not section:
        raise ValueError(f"it has no mapping {SECTION}")
    found = {metric.name: metric for kind, rows in section.items() for metric in _of_kind(str(kind), rows)}
    return tuple(found.values())


def _of_kind(kind: str, rows: Any) -> Iterator[DeclaredMetric]:
    if kind not in KINDS:
        raise ValueError(f"{SECTION} has {kind}, which is none of {', '.join(KINDS)}")
    if not isinstance(rows, list):
        raise ValueError(f"{SECTION}.{kind} must be a list of metrics")
    for row in rows:
        try:
            yield msgspec.convert({**row, "kind": kind}, DeclaredMetric)
        except (msgspec.ValidationError, TypeError) as error:
            raise ValueError(f"{SECTION}.{kind}: {error}") from error
