"""The counts under the names that TorchServe's metrics API has for them, in Prometheus' text format 0.0.4.

The names, units and labels are those of its ``ts/configs/metrics.yaml``. Its times of single requests are gauges that
hold the last request's; here they are the mean of all, which says more and costs no request anything.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Iterable, Iterator, Sequence

from salver.telemetry.counters import Report, RequestCount
from salver.telemetry.machine import Machine, look
from salver.telemetry.measures import Measure
from salver.types import ModelStatus, ModelVersion, own_name_or_number

_UNFIT = re.compile(r"[^a-zA-Z0-9_:]")
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.075", "0.1", "0.25", "0.5", "0.75", "1.0", "2.5", "5.0", "7.5", "10.0")
"""Of the buckets that workers count in."""

_CLASSES = {
    "INVALID_INPUT": 4, "MODEL_NOT_FOUND": 4, "VERSION_NOT_FOUND": 4, "LABEL_NOT_FOUND": 4, "SIGNATURE_NOT_FOUND": 4,
    "PAYLOAD_TOO_LARGE": 4, "UNSUPPORTED_MEDIA_TYPE": 4, "UNAUTHENTICATED": 4, "PERMISSION_DENIED": 4,
    "QUOTA_EXCEEDED": 4, "ROUTE_NOT_FOUND": 4, "METHOD_NOT_ALLOWED": 4, "CONFLICT": 4, "OK": 2,
}  # fmt: skip
"""The first digit of the status that an outcome has; 5 where it is not here."""

Labels = Sequence[tuple[str, str]]
Sample = tuple[str, str, Labels, float]
"""Family, suffix of the name, labels, value."""


def torchserve_page(
    report: Report,
    models: Iterable[ModelStatus],
    measures: Iterable[tuple[ModelVersion, tuple[Measure, ...]]],
    names: Collection[str],
) -> bytes:
    """Of the families that are named, or of all. Reads what the machine says of itself: not for an event loop."""
    host = socket.gethostname()
    families: dict[str, list[str]] = {}
    kinds: dict[str, str] = {}
    samples = [*_samples(report, models, host), *_machine(look(), host), *_measures(measures, host)]
    for kind, (family, suffix, labels, value) in samples:
        if names and family not in names:
            continue
        kinds.setdefault(family, kind)
        shown = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
        families.setdefault(family, []).append(f"{family}{suffix}{{{shown},}} {value!r}")
    return "".join(
        f"# HELP {family} TorchServe's metric of this name.\n# TYPE {family} {kinds[family]}\n"
        + "\n".join(lines)
        + "\n"
        for family, lines in families.items()
    ).encode()


def _samples(report: Report, models: Iterable[ModelStatus], host: str) -> Iterator[tuple[str, Sample]]:
    own_names = {
        (model.name, version.id.version): own_name_or_number(version.own_name, version.id.version)
        for model in models
        for version in model.versions
    }
    by_class = {2: 0, 4: 0, 5: 0}
    by_version: dict[tuple[str, int], RequestCount] = {}
    for key, count in report.requests:
        if key.operation != "models.predict":
            continue
        for code, number in count.codes.items():
            by_class[_CLASSES.get(code, 5)] += number
        if key.model:
            total = by_version.setdefault((key.model, key.version), RequestCount())
            total.codes["all"] = total.codes.get("all", 0) + sum(count.codes.values())
            total.codes["OK"] = total.codes.get("OK", 0) + count.codes.get("OK", 0)
            total.seconds += count.seconds
            total.queued_seconds += count.queued_seconds
    here = (("Level", "Host"), ("Hostname", host))
    for digit, number in by_class.items():
        yield "counter", (f"Requests{digit}XX", "", here, float(number))
    answered = sum(count.codes["OK"] for count in by_version.values())
    if answered:
        queued_ms = sum(count.queued_seconds for count in by_version.values()) * 1000 / answered
        taken_ms = sum(count.seconds for count in by_version.values()) * 1000 / answered
        yield "gauge", ("QueueTime", "", here, queued_ms)
        yield "gauge", ("WorkerThreadTime", "", here, max(0.0, taken_ms - queued_ms))
    for (model, version), count in sorted(by_version.items()):
        own = own_names.get((model, version), str(version))
        labels = (("model_name", model), ("model_version", own), ("hostname", host))
        yield "counter", ("ts_inference_requests_total", "", labels, float(count.codes["all"]))
        yield "counter", ("ts_inference_latency_microseconds", "", labels, count.seconds * 1e6)
        yield "counter", ("ts_queue_latency_microseconds", "", labels, count.queued_seconds * 1e6)


def _machine(machine: Machine, host: str) -> Iterator[tuple[str, Sample]]:
    here = (("Level", "Host"), ("Hostname", host))
    for name, value in machine.gauges().items():
        yield "gauge", (name, "", here, value)


def _measures(measures: Iterable[tuple[ModelVersion, tuple[Measure, ...]]], host: str) -> Iterator[tuple[str, Sample]]:
    for id, found in measures:
        for measure in found:
            family = _metric_name(measure.name)
            given = [(_UNFIT.sub("_", name), text) for name, text in measure.labels]
            names = {name for name, _ in given}
            own = [("ModelName", id.model), ("ModelVersion", str(id.version)), ("Hostname", host)]
            labels = [*given, *(label for label in own if label[0] not in names)]
            if measure.kind != "histogram":
                yield measure.kind, (family, "", labels, measure.value)
                continue
            total = 0
            for bound, count in zip((*BOUNDS, "+Inf"), measure.buckets, strict=False):
                total += count
                yield "histogram", (family, "_bucket", [*labels, ("le", bound)], float(total))
            yield "histogram", (family, "_count", labels, float(total))
            yield "histogram", (family, "_sum", labels, measure.value)


def _metric_name(text: str) -> str:
    name = _UNFIT.sub("_", text) or "_"
    return f"_{name}" if name[0].isdigit() else name


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
