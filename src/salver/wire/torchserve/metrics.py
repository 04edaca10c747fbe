"""TorchServe's metrics API, for a port of its own (8082). Multi Model Server has none."""

from __future__ import annotations

from salver.errors import Code, RequestError, SalverError
from salver.operations import server
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.wire.torchserve.answers import usual_headers
from salver.wire.torchserve.dialect import NOT_ALLOWED, NOT_FOUND, TORCHSERVE
from salver.wire.torchserve.errors import Subject, error_answer

PATH = "/metrics"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsWire:
    """Every address of its port is its own."""

    def __init__(self, *, name: str, has_measures: bool, declared: tuple[str, ...] | None = None) -> None:
        """`has_measures` is whether the page has what handlers measure, and `declared` all that it may have of that."""
        self.name = name
        self._has_measures = has_measures
        self._declared = declared

    @property
    def routes(self) -> tuple[Route, ...]:
        return (
            Route(methods=("GET",), path=PATH, operation=server.METRICS.name, read=self._read, write=write_metrics),
        )

    def _read(self, request: Request) -> server.GetMetrics:
        names = tuple(value for key, value in request.query if key == "name[]")
        return server.GetMetrics(
            form="torchserve", names=names, has_measures=self._has_measures, declared=self._declared
        )

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        return None

    def owns(self, path: str) -> bool:
        return path.startswith("/")

    def unmatched(self, request: Request) -> Answer:
        if request.path == PATH:
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error, Subject(), request.request_id, TORCHSERVE)


def write_metrics(result: bytes, request: Request) -> Answer:
    return Answer(200, result, content_type=CONTENT_TYPE, headers=usual_headers(request.request_id))
