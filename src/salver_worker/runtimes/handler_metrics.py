"""The metrics that a handler counts through its context: MMS's log lines, TorchServe's objects, and the sums of both.

The calls are those of ``mms/metrics/metrics_store.py`` and of TorchServe's ``ts/metrics/metric_cache_abstract.py`` and
``caching_metric.py``. A line is printed for each update; the sums are kept for the server, which asks for them.
"""

from __future__ import annotations

import enum
import socket
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from salver_worker.measures import Measures

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


class MetricTypes(enum.Enum):
    """TorchServe's three kinds of metrics."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Dimension(NamedTuple):
    """A name and a value that tell one series of a metric from another."""

    name: str
    value: Any

    def __str__(self) -> str:
        return "%s:%s" % (self.name, self.value)


class MetricsCacheKeyError(KeyError):
    """There is no metric of this name and kind."""


class Metric:
    """One metric of TorchServe's interface: `add_or_update` with a value for each of its dimensions, in order."""

    def __init__(
        self,
        owner: Metrics,
        name: str,
        unit: str,
        dimension_names: Sequence[str],
        metric_type: MetricTypes,
    ) -> None:
        self._owner = owner
        self.metric_name = name
        self.unit = unit
        self.dimension_names = list(dimension_names)
        self.metric_type = metric_type

    def add_or_update(self, value: Number, dimension_values: Sequence[Any] = (), request_id: str = "") -> None:
        """Count on, or set, one series. Raises ValueError when a dimension has no value, or a counter goes back."""
        if len(dimension_values) != len(self.dimension_names):
            raise ValueError(
                "Dimension values: %s should correspond to Dimension names: %s"
                % (list(dimension_values), self.dimension_names)
            )
        if self.metric_type is MetricTypes.COUNTER and value < 0:
            raise ValueError("Counter metric update value %s cannot be negative" % value)
        dimensions = [Dimension(name, given) for name, given in zip(self.dimension_names, dimension_values)]
        self._owner.note(self.metric_name, value, self.unit, dimensions, self.metric_type, request_id)

    def update(self, value: Number, request_id: str = "", dimensions: Sequence[Any] = ()) -> None:
        """The older form of the same."""
        self.add_or_update(value, [dimension.value for dimension in dimensions], request_id)


class Metrics:
    """What a handler has as `context.metrics`. The sums go on from batch to batch; lines are those of one batch."""

    def __init__(self, model_name: str, request_ids: Mapping[int, str], measures: Optional[Measures] = None) -> None:
        self.model_name = model_name
        self._own = (Dimension("ModelName", model_name), Dimension("Level", "Model"))
        self.request_ids = request_ids
        self.measures = Measures() if measures is None else measures
        self.cache: Dict[MetricTypes, Dict[str, Metric]] = {}
        self._declared: Dict[str, MetricTypes] = {}
        self._lines: Dict[Tuple[str, str, str, str], Number] = {}

    def begin(self, request_ids: Mapping[int, str]) -> None:
        """Forget the lines of the last batch."""
        self.request_ids = request_ids
        self._lines = {}

    # The calls of both

    def add_counter(
        self, name: str, value: int, idx: Optional[int] = None, dimensions: Optional[Sequence[Any]] = None
    ) -> None:
        self._add(name, value, "count", idx, dimensions, MetricTypes.COUNTER)

    def add_time(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        unit: str = "ms",
        dimensions: Optional[Sequence[Any]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        if unit not in TIME_UNITS:
            raise ValueError("the unit of a time is one of %s, not %s" % (", ".join(TIME_UNITS), unit))
        self._add(name, value, unit, idx, dimensions, metric_type)

    def add_size(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        unit: str = "MB",
        dimensions: Optional[Sequence[Any]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        if unit not in SIZE_UNITS:
            raise ValueError("the unit of a size is one of %s, not %s" % (", ".join(SIZE_UNITS), unit))
        self._add(name, value, unit, idx, dimensions, metric_type)

    def add_percent(
        self,
        name: str,
        value: Number,
        idx: Optional[int] = None,
        dimensions: Optional[Sequence[Any]] = None,
        metric_type: MetricTypes = MetricTypes.GAUGE,
    ) -> None:
        self._add(name, value, "percent", idx, dimensions, metric_type)

    def add_error(self, name: str, value: Number, dimensions: Optional[Sequence[Any]] = None) -> None:
        every = [*(dimensions or ()), Dimension("Level", "Error")]
        self.note(name, value, "", every, MetricTypes.COUNTER, "")

    def add_metric(self, name: str, value: Number, *given: Any, **named: Any) -> None:
        """MMS: `(name, value, idx=None, unit=None, dimensions=None)`; TorchServe: `(name, value, unit, idx=None,
        dimensions=[], metric_type=COUNTER)`. Which one is meant is told by where the unit stands."""
        arguments = dict(named)
        is_torchserve = bool(given and isinstance(given[0], str)) or (not given and "metric_type" in named)
        order = ("unit", "idx", "dimensions", "metric_type") if is_torchserve else ("idx", "unit", "dimensions")
        if len(given) > len(order):
            raise TypeError("add_metric takes no more than %d arguments" % (len(order) + 2))
        arguments.update(zip(order, given))
        kind = arguments.get("metric_type") or (MetricTypes.COUNTER if is_torchserve else MetricTypes.GAUGE)
        self._add(name, value, arguments.get("unit") or "", arguments.get("idx"), arguments.get("dimensions"), kind)

    # TorchServe's objects

    def add_metric_to_cache(
        self,
        metric_name: str,
        unit: str,
        dimension_names: Optional[Sequence[str]] = None,
        metric_type: MetricTypes = MetricTypes.COUNTER,
    ) -> Metric:
        metric = Metric(self, metric_name, unit, dimension_names or (), MetricTypes(metric_type.value))
        self.cache.setdefault(metric.metric_type, {})[metric_name] = metric
        return metric

    def get_metric(self, metric_name: str, metric_type: MetricTypes = MetricTypes.COUNTER) -> Metric:
        """Raises MetricsCacheKeyError."""
        kind = MetricTypes(metric_type.value)
        try:
            return self.cache[kind][metric_name]
        except KeyError:
            raise MetricsCacheKeyError("Metric `%s` of type `%s` not found" % (metric_name, kind)) from None

    def declare(self, document: Mapping[str, Any]) -> None:
        """The metrics of TorchServe's metrics.yaml, by kind. Raises ValueError when it does not say what it should."""
        for kind, rows in (document.get("model_metrics") or {}).items():
            for row in rows or ():
                try:
                    self.add_metric_to_cache(row["name"], row["unit"], row["dimensions"], MetricTypes(kind))
                    self._declared[row["name"]] = MetricTypes(kind)
                except (KeyError, TypeError) as error:
                    raise ValueError("a metric of model_metrics lacks %s" % error) from error

    # What becomes of them

    def note(
        self,
        name: str,
        value: Number,
        unit: str,
        dimensions: Sequence[Any],
        metric_type: MetricTypes,
        request_id: str,
    ) -> None:
        key = (name, unit, request_id or ",".join(self.request_ids.values()), ",".join(map(str, dimensions)))
        is_counter = metric_type is MetricTypes.COUNTER
        self._lines[key] = self._lines.get(key, 0) + value if is_counter else value
        labels = tuple({str(each.name): str(each.value) for each in reversed(dimensions)}.items())[::-1]
        kind = self._declared.get(name, metric_type)  # as in TorchServe, whatever call the handler made
        self.measures.note(name, UNITS.get(unit, unit or "unit"), kind.value, labels, float(value))

    def note_prediction(self, milliseconds: float) -> None:
        """How long the last batch took, which both servers measure. Without a line: there are enough of them."""
        labels = tuple((own.name, own.value) for own in self._own)
        self.measures.note("PredictionTime", UNITS["ms"], MetricTypes.GAUGE.value, labels, milliseconds)

    def lines(self) -> List[str]:
        """One line for each metric, such as ``Words.Count:3|#ModelName:m,Level:Model|#hostname:h,1700000000,id``."""
        host, now = socket.gethostname(), int(time.time())
        return [
            "%s.%s:%s|#%s|#hostname:%s,%d,%s"
            % (name, UNITS.get(unit, unit or "unit"), value, dimensions, host, now, id)
            for (name, unit, id, dimensions), value in self._lines.items()
        ]

    def _add(
        self,
        name: str,
        value: Number,
        unit: str,
        idx: Optional[int],
        dimensions: Optional[Sequence[Any]],
        metric_type: MetricTypes,
    ) -> None:
        given = list(dimensions or ())
        every = [*given, *self._own]
        id = self.request_ids.get(idx) if idx is not None else None
        self.note(name, value, unit, every, MetricTypes(metric_type.value), id or "")
