"""The metrics that a handler counts through its context, written as MMS's log lines (mms/metrics/metrics_store.py)."""

from __future__ import annotations

import socket
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

UNITS = {
    "ms": "Milliseconds",
    "s": "Seconds",
    "MB": "Megabytes",
    "kB": "Kilobytes",
    "GB": "Gigabytes",
    "B": "Bytes",
    "percent": "Percent",
    "count": "Count",
}
TIME_UNITS = ("ms", "s")
SIZE_UNITS = ("MB", "kB", "GB", "B")
Number = Union[int, float]


class Dimension(NamedTuple):
    """A name and a value that tell one series of a metric from another."""

    name: str
    value: Any

    def __str__(self) -> str:
        return "%s:%s" % (self.name, self.value)


class Metrics:
    """The metrics of one batch. A counter that is added to again counts on; other metrics are replaced."""

    def __init__(self, model_name: str, request_ids: Mapping[int, str]) -> None:
        self._own = (Dimension("ModelName", model_name), Dimension("Level", "Model"))
        self._request_ids = request_ids
        self._values: Dict[Tuple[str, str, str, str], Number] = {}

    def add_counter(
        self, name: str, value: int, idx: Optional[int] = None, dimensions: Optional[Sequence[Any]] = None
    ) -> None:
        key = self._key(name, idx, "count", dimensions)
        self._values[key] = self._values.get(key, 0) + value

    def add_time(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        unit: str = "ms",
        dimensions: Optional[Sequence[Any]] = None,
    ) -> None:
        if unit not in TIME_UNITS:
            raise ValueError("the unit of a time is one of %s, not %s" % (", ".join(TIME_UNITS), unit))
        self._values[self._key(name, idx, unit, dimensions)] = value

    def add_size(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        unit: str = "MB",
        dimensions: Optional[Sequence[Any]] = None,
    ) -> None:
        if unit not in SIZE_UNITS:
            raise ValueError("the unit of a size is one of %s, not %s" % (", ".join(SIZE_UNITS), unit))
        self._values[self._key(name, idx, unit, dimensions)] = value

    def add_percent(
        self, name: str, value: Number, idx: Optional[int] = None, dimensions: Optional[Sequence[Any]] = None
    ) -> None:
        self._values[self._key(name, idx, "percent", dimensions)] = value

    def add_metric(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        unit: Optional[str] = None,
        dimensions: Optional[Sequence[Any]] = None,
    ) -> None:
        self._values[self._key(name, idx, unit or "", dimensions)] = value

    def lines(self) -> List[str]:
        """One line for each metric, such as ``Words.Count:3|#ModelName:m,Level:Model|#hostname:h,1700000000,id``."""
        host, now = socket.gethostname(), int(time.time())
        return [
            "%s.%s:%s|#%s|#hostname:%s,%d,%s"
            % (name, UNITS.get(unit, unit or "unit"), value, dimensions, host, now, id)
            for (name, unit, id, dimensions), value in self._values.items()
        ]

    def _key(
        self, name: str, idx: Optional[int], unit: str, dimensions: Optional[Sequence[Any]]
    ) -> Tuple[str, str, str, str]:
        every = (*(dimensions or ()), *self._own)
        id = self._request_ids.get(idx) if idx is not None else None
        return name, unit, id or ",".join(self._request_ids.values()), ",".join(map(str, every))
