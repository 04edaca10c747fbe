"""What was counted, under the names that dashboards of TensorFlow Serving read, for Prometheus.

The names of the original that stand for something Salver does not measure are left out: a number that is made up would
be worse than none. Salver's own series follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from salver.errors import Code
from salver.operations import server
from salver.operations.base import Answer, Request, Route
from salver.wire.tfserving.errors import CANONICAL

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WIRE = "tfserving"
"""Over HTTP and gRPC: they are counted as one, so that the original's labels API and entrypoint are left out."""
PREDICTIONS = "models.predict"
PREFIX = ":tensorflow:serving"


def monitoring_route(path: str) -> Route:
    return Route(
        methods=("GET",),
        path=path,
        operation=server.COUNTS.name,
        read=lambda _: server.GetCounts(),
        write=write_counts,
    )


def write_counts(result: server.Counts, _request: Request) -> Answer:
    lines = [*_request_counts(result), *_latencies(result), *_example_counts(result), ""]
    return Answer(status=200, body="\n".join(lines).encode() + result.page, content_type=CONTENT_TYPE)


def _calls(result: server.Counts) -> list[server.CallCount]:
    """Predictions over this protocol; those of names that no model has count under none."""
    return [call for call in result.calls if call.operation == PREDICTIONS and call.wire == WIRE and call.model]


def _request_counts(result: server.Counts) -> Iterator[str]:
    """By model and canonical code, whichever version it was."""
    name = f"{PREFIX}:request_count"
    counts: dict[tuple[str, str], int] = {}
    for call in _calls(result):
        for code, number in call.codes.items():
            key = (call.model, canonical(code))
            counts[key] = counts.get(key, 0) + number
    yield f"# TYPE {name} counter"
    for (model, status), number in sorted(counts.items()):
        yield f'{name}{{model_name="{model}",status="{status}"}} {number}'


def canonical(code: str) -> str:
    return "OK" if code == "OK" else CANONICAL[Code(code)]


def _latencies(result: server.Counts) -> Iterator[str]:
    """In microseconds, as the original has them, within Salver's own bounds."""
    name = f"{PREFIX}:request_latency"
    buckets: dict[str, list[int]] = {}
    seconds: dict[str, float] = {}
    for call in _calls(result):
        known = buckets.setdefault(call.model, [0] * len(call.buckets))
        buckets[call.model] = [one + other for one, other in zip(known, call.buckets, strict=True)]
        seconds[call.model] = seconds.get(call.model, 0.0) + call.seconds
    bounds = [*(f"{bound * 1e6:g}" for bound in result.bounds_s), "+Inf"]
    yield f"# TYPE {name} histogram"
    for model, numbers in sorted(buckets.items()):
        label, so_far = f'model_name="{model}"', 0
        for bound, number in zip(bounds, numbers, strict=True):
            so_far += number
            yield f'{name}_bucket{{{label},le="{bound}"}} {so_far}'
        yield f"{name}_sum{{{label}}} {seconds[model] * 1e6:.0f}"
        yield f"{name}_count{{{label}}} {so_far}"


def _example_counts(result: server.Counts) -> Iterator[str]:
    name = f"{PREFIX}:request_example_count_total"
    rows: dict[str, int] = {}
    for call in _calls(result):
        rows[call.model] = rows.get(call.model, 0) + call.rows
    yield f"# TYPE {name} counter"
    for model, number in sorted(rows.items()):
        yield f'{name}{{model="{model}"}} {number}'
