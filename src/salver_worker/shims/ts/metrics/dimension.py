"""A metric's dimension."""

from salver_worker.runtimes.handler_metrics import Dimension as Dimension
