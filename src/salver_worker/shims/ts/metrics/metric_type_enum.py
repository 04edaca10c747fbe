"""The kinds of metrics."""

from salver_worker.runtimes.handler_metrics import MetricTypes as MetricTypes
