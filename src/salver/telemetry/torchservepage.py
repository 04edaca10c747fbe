"""The counts under the names that TorchServe's metrics API has for them, in Prometheus' text format 0.0.4.

The names, units and labels are those of its ``ts/configs/metrics.yaml``. Its times of single requests are gauges that
hold the last request's; here they are the mean of all, which says more and costs no request anything.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from salver.telemetry.counters import Report, RequestCount, RequestKey
from salver.telemetry.machine import Machine, look
from salver.telemetry.measures import Measure
from salver.types import ModelStatus, ModelVersion, own_name_or_number

_UNFIT = re.compile(r"[^a-zA-Z0-9_:]")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0")
"""Of the buckets that workers count in."""

_CLASSES = {
    "INVALID_INPUT": 4, "MODEL_NOT_FOUND": 4, "VERSION_NOT_FOUND": 4, "LABEL_NOT_FOUND": 4, "SIGNATURE_NOT_FOUND": 4,
    "PAYLOAD_TOO_LARGE": 4, "UNSUPPORTED_MEDIA_TYPE": 4, "UNAUTHENTICATED": 4, "PERMISSION_DENIED": 4,
    "QUOTA_EXCEEDED": 4, "ROUTE_NOT_FOUND": 4, "METHOD_NOT_ALLOWED": 4, "CONFLICT": 4, "NOT_ACCEPTABLE": 4, "OK": 2,
}  # fmt: skip
"""The first digit of the status that an outcome has; 5 where it is not here."""

Labels = Sequence[tuple[str, str]]
Measured = Iterable[tuple[ModelVersion, tuple[Measure, ...]]]


class Sample(NamedTuple):
    """One line of the page, and what stands above the lines of its family."""

    kind: str
    family: str
    unit: str
    labels: Labels
    value: float
    suffix: str = ""
    """Behind the family's name."""


def only(measures: Measured, names: Collection[str] | None) -> Measured:
    """What has one of the names; all of it for None. `PredictionTime` is the server's own."""
    if names is None:
        return measures
    shown = {*names, "PredictionTime"}
    return [(id, tuple(measure for measure in found if measure.name in shown)) for id, found in measures]


def torchserve_page(
    report: Report,
    models: Iterable[ModelStatus],
    measures: Measured,
    names: Collection[str],
) -> bytes:
    """Of the families that are named, or of all. Reads what the machine says of itself: not for an event loop."""
    host = socket.gethostname()
    families: dict[str, list[Sample]] = {}
    for sample in (*_requests(report, models, host), *_machine(look(), host)):
        families.setdefault(sample.family, []).append(sample)
    for sample in _measures(measures, host, frozenset(families)):
        known = families.setdefault(sample.family, [])
        if not known or known[0].kind == sample.kind:
            known.append(sample)
    shown = {family: samples for family, samples in families.items() if not names or family in names}
    return "".join(line for samples in shown.values() for line in _lines(samples)).encode()


def _lines(samples: Sequence[Sample]) -> Iterator[str]:
    first = samples[0]
    yield f"# HELP {first.family} Torchserve prometheus {first.kind} metric with unit: {_escaped(first.unit)}\n"
    yield f"# TYPE {first.family} {first.kind}\n"
    for sample in samples:
        labels = ",".join(f'{name}="{_escaped(text)}"' for name, text in sample.labels)
        yield f"{sample.family}{sample.suffix}{{{labels},}} {sample.value!r}\n"


def _requests(report: Report, models: Iterable[ModelStatus], host: str) -> Iterator[Sample]:
    predictions = [(key, count) for key, count in report.requests if key.operation == "models.predict"]
    here = (("Level", "Host"), ("Hostname", host))
    by_class = {2: 0, 4: 0, 5: 0}
    for _, count in predictions:
        for code, number in count.codes.items():
            by_class[_CLASSES.get(code, 5)] += number
    for digit, number in by_class.items():
        yield Sample("counter", f"Requests{digit}XX", "Count", here, float(number))
    known = [(key, count) for key, count in predictions if key.model]
    number = sum(sum(count.codes.values()) for _, count in known)
    if number:
        queued_s = sum(count.queued_seconds for _, count in known)
        taken_s = sum(count.seconds for _, count in known)
        yield Sample("gauge", "QueueTime", "Milliseconds", here, queued_s * 1000 / number)
        yield Sample("gauge", "WorkerThreadTime", "Milliseconds", here, max(0.0, taken_s - queued_s) * 1000 / number)
    yield from _by_version(known, models, host)


def _by_version(
    known: Iterable[tuple[RequestKey, RequestCount]], models: Iterable[ModelStatus], host: str
) -> Iterator[Sample]:
    called = {
        version.id: own_name_or_number(version.own_name, version.id.version)
        for model in models
        for version in model.versions
    }
    totals: dict[ModelVersion, list[float]] = {}
    for key, count in known:
        total = totals.setdefault(ModelVersion(key.model, key.version), [0.0, 0.0, 0.0])
        total[0] += sum(count.codes.values())
        total[1] += count.seconds * 1e6
        total[2] += count.queued_seconds * 1e6
    rows = (
        ("ts_inference_requests_total", "Count"),
        ("ts_inference_latency_microseconds", "Microseconds"),
        ("ts_queue_latency_microseconds", "Microseconds"),
    )
    for id, total in sorted(totals.items()):
        labels = (("model_name", id.model), ("model_version", called.get(id, str(id.version))), ("hostname", host))
        for (family, unit), value in zip(rows, total, strict=True):
            yield Sample("counter", family, unit, labels, value)


def _machine(machine: Machine, host: str) -> Iterator[Sample]:
    here = (("Level", "Host"), ("Hostname", host))
    for name, unit, value in machine.gauges():
        yield Sample("gauge", name, unit, here, value)


def _measures(
    measures: Iterable[tuple[ModelVersion, tuple[Measure, ...]]], host: str, taken: Collection[str]
) -> Iterator[Sample]:
    """Of families that are not `taken`. Versions of one model are told apart by a label of ours."""
    for id, found in measures:
        for measure in found:
            family = _metric_name(measure.name)
            if family in taken:
                continue
            given = {_UNFIT.sub("_", name): text for name, text in measure.labels}
            own = {"ModelName": id.model, "ModelVersion": str(id.version), "Hostname": host}
            labels = tuple({**given, **{name: text for name, text in own.items() if name not in given}}.items())
            if measure.kind != "histogram":
                yield Sample(measure.kind, family, measure.unit, labels, measure.value)
                continue
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), measure.buckets, strict=False):
                total += count
                yield Sample("histogram", family, measure.unit, (*labels, ("le", bound)), float(total), "_bucket")
            yield Sample("histogram", family, measure.unit, labels, float(total), "_count")
            yield Sample("histogram", family, measure.unit, labels, measure.value, "_sum")


def _metric_name(text: str) -> str:
    name = _UNFIT.sub("_", text) or "_"
    return f"_{name}" if name[0].isdigit() else name


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
