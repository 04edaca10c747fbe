"""The port of MLServer's metrics (8082), for whoever collects them under its names."""

from __future__ import annotations

from salver.errors import SalverError
from salver.operations.base import Answer, Request
from salver.operations.statistics import Statistics
from salver.wire.openinference.metrics import OpenInferenceMetricsWire
from salver.wire.openinference.mlserver.errors import error_answer
from salver.wire.openinference.statistics import family, labels


def metrics_page(found: Statistics) -> bytes:
    """The original's families of models; those of its web framework and of gRPC have no numbers here."""
    lines = [
        *family(
            "model_infer_request_success_total",
            "counter",
            "Model infer request success count",
            ((labels(each), each.success.count) for each in found),
        ),
        *family(
            "model_infer_request_failure_total",
            "counter",
            "Model infer request failure count",
            ((labels(each), each.failure.count) for each in found),
        ),
        "# HELP model_infer_request_duration Model infer request duration",
        "# TYPE model_infer_request_duration summary",
    ]
    for each in found:
        count, seconds = each.success.count + each.failure.count, each.success.seconds + each.failure.seconds
        lines.append(f"model_infer_request_duration_count{{{labels(each)}}} {count}")
        lines.append(f"model_infer_request_duration_sum{{{labels(each)}}} {seconds}")
    return "".join(f"{line}\n" for line in lines).encode()


class MlServerMetricsWire(OpenInferenceMetricsWire):
    """One page, and the original's words where there is none."""

    name = "mlserver-metrics"
    page = staticmethod(metrics_page)

    def error(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error)
