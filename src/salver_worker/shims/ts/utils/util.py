"""The exception by which a handler chooses the status of its answer."""

from salver_worker.runtimes.handler_errors import PredictionException as PredictionException
