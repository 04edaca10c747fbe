"""What a metric that is not there raises."""

from salver_worker.runtimes.handler_metrics import MetricsCacheKeyError as MetricsCacheKeyError
