"""The statistics extension, and the same numbers as the original's metrics. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from salver.operations.statistics import Spent, Statistics, VersionStatistics

NANOSECONDS = 1_000_000_000
MICROSECONDS = 1_000_000
NOTHING = Spent()
REASONS: dict[str, str] = {
    "OVERLOADED": "REJECTED",
    "QUOTA_EXCEEDED": "REJECTED",
    "SHUTTING_DOWN": "REJECTED",
    "DEADLINE_EXCEEDED": "REJECTED",
    "CANCELLED": "CANCELED",
    "MODEL_ERROR": "BACKEND",
    "OUTPUT_INVALID": "BACKEND",
    "WORKER_DIED": "BACKEND",
    "OUT_OF_MEMORY": "BACKEND",
}
"""The original's reasons of failures; all others are OTHER."""
ALL_REASONS = ("REJECTED", "CANCELED", "BACKEND", "OTHER")


def statistics_document(found: Statistics) -> dict[str, Any]:
    return {"model_stats": [model_statistics(version) for version in found]}


def model_statistics(version: VersionStatistics) -> dict[str, Any]:
    """One version in the original's words.

    `compute_input` is reading a request, `compute_output` writing an answer, and `compute_infer` what a worker takes,
    the way there and back included.
    """
    return {
        "name": version.id.model,
        "version": str(version.id.version),
        "last_inference": int(version.last_at * 1000),
        "inference_count": version.rows,
        "execution_count": version.executions,
        "inference_stats": {
            "success": spent(version.success),
            "fail": spent(version.failure),
            "queue": spent(version.queue),
            "compute_input": spent(version.reading),
            "compute_infer": spent(version.model),
            "compute_output": spent(version.writing),
            "cache_hit": spent(NOTHING),
            "cache_miss": spent(NOTHING),
        },
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": batch.rows,
                "compute_input": spent(Spent(batch.spent.count)),
                "compute_infer": spent(batch.spent),
                "compute_output": spent(Spent(batch.spent.count)),
            }
            for batch in version.batches
        ],
        "memory_usage": [{"type": "CPU", "id": 0, "byte_size": version.memory_bytes}] if version.memory_bytes else [],
    }


def spent(value: Spent) -> dict[str, int]:
    return {"count": value.count, "ns": int(value.seconds * NANOSECONDS)}


def metrics_page(found: Statistics) -> bytes:
    """The original's families in the Prometheus text format."""
    lines: list[str] = []
    for name, kind, text, value in _FAMILIES:
        lines += family(f"nv_inference_{name}", kind, text, ((labels(each), value(each)) for each in found))
    lines += family(
        "nv_inference_request_failure",
        "counter",
        "Number of failed inference requests, all batch sizes",
        (
            (labels(each, reason), sum(n for code, n in each.failures.items() if REASONS.get(code, "OTHER") == reason))
            for each in found
            for reason in ALL_REASONS
        ),
    )
    return "".join(f"{line}\n" for line in lines).encode()


def family(name: str, kind: str, text: str, samples: Iterable[tuple[str, int]]) -> list[str]:
    head = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return [*head, *(f"{name}{{{labels}}} {value}" for labels, value in samples)]


def labels(version: VersionStatistics, reason: str = "") -> str:
    model = version.id.model.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    labels = f'model="{model}",version="{version.id.version}"'
    return f'{labels},reason="{reason}"' if reason else labels


def _us(value: Spent) -> int:
    return int(value.seconds * MICROSECONDS)


_FAMILIES: tuple[tuple[str, str, str, Callable[[VersionStatistics], int]], ...] = (
    (
        "request_success",
        "counter",
        "Number of successful inference requests, all batch sizes",
        lambda version: version.success.count,
    ),
    ("count", "counter", "Number of inferences performed", lambda version: version.rows),
    ("exec_count", "counter", "Number of model executions performed", lambda version: version.executions),
    (
        "pending_request_count",
        "gauge",
        "Rows that wait for a replica",
        lambda version: version.waiting_rows,
    ),
    (
        "request_duration_us",
        "counter",
        "Cumulative inference request duration in microseconds",
        lambda version: _us(version.success),
    ),
    (
        "queue_duration_us",
        "counter",
        "Cumulative inference queuing duration in microseconds",
        lambda version: _us(version.queue),
    ),
    (
        "compute_input_duration_us",
        "counter",
        "Cumulative time to read requests in microseconds",
        lambda version: _us(version.reading),
    ),
    (
        "compute_infer_duration_us",
        "counter",
        "Cumulative time of the model, and of the way to it, in microseconds",
        lambda version: _us(version.model),
    ),
    (
        "compute_output_duration_us",
        "counter",
        "Cumulative time to write answers in microseconds",
        lambda version: _us(version.writing),
    ),
)
