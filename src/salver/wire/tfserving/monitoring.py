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
ENTRYPOINTS = {"tfserving": "REST", "tfserving-grpc": "GRPC"}
"""What the original calls the doors, by the protocol's name."""
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
    return [call for call in result.calls if call.operation == PREDICTIONS and call.wire in ENTRYPOINTS and call.model]


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
    buckets: dict[tuple[str, str], list[int]] = {}
    seconds: dict[tuple[str, str], float] = {}
    for call in _calls(result):
        key = (call.model, ENTRYPOINTS[call.wire])
        known = buckets.setdefault(key, [0] * len(call.buckets))
        buckets[key] = [one + other for one, other in zip(known, call.buckets, strict=True)]
        seconds[key] = seconds.get(key, 0.0) + call.seconds
    bounds = [*(f"{bound * 1e6:g}" for bound in result.bounds_s), "+Inf"]
    yield f"# TYPE {name} histogram"
    for (model, entrypoint), numbers in sorted(buckets.items()):
        api = "predict" if entrypoint == "REST" else "Predict"
        labels = f'model_name="{model}",API="{api}",entrypoint="{entrypoint}"'
        so_far = 0
        for bound, number in zip(bounds, numbers, strict=True):
            so_far += number
            yield f'{name}_bucket{{{labels},le="{bound}"}} {so_far}'
        yield f"{name}_sum{{{labels}}} {seconds[model, entrypoint] * 1e6:.0f}"
        yield f"{name}_count{{{labels}}} {so_far}"


def _example_counts(result: server.Counts) -> Iterator[str]:
    name = f"{PREFIX}:request_example_count_total"
    rows: dict[str, int] = {}
    for call in _calls(result):
        rows[call.model] = rows.get(call.model, 0) + call.rows
    yield f"# TYPE {name} counter"
    for model, number in sorted(rows.items()):
        yield f'{name}{{model="{model}"}} {number}'
