"""The port of the original's metrics (8002), for whoever collects them under its names."""

from __future__ import annotations

from collections.abc import Callable

from salver.errors import Code, RequestError, SalverError
from salver.operations import statistics
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.operations.statistics import Statistics
from salver.wire.openinference.errors import NOT_ALLOWED, NOT_FOUND, error_answer
from salver.wire.openinference.statistics import metrics_page

PAGE = "/metrics"
PROMETHEUS = "text/plain; charset=utf-8; version=0.0.4"


class OpenInferenceMetricsWire:
    """One page, for a port of its own: every address there is its own."""

    name = "openinference-metrics"
    page: Callable[[Statistics], bytes] = staticmethod(metrics_page)

    @property
    def routes(self) -> tuple[Route, ...]:
        return (
            Route(
                methods=("GET",),
                path=PAGE,
                operation=statistics.OF_ALL.name,
                read=lambda _: statistics.GetAllStatistics(),
                write=lambda found, _: Answer(200, self.page(found), PROMETHEUS),
            ),
        )

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        return None

    def owns(self, path: str) -> bool:
        return True

    def unmatched(self, request: Request) -> Answer:
        is_page = request.path == PAGE
        code, text = (Code.METHOD_NOT_ALLOWED, NOT_ALLOWED) if is_page else (Code.ROUTE_NOT_FOUND, NOT_FOUND)
        return self.error(RequestError(code, text, fix=""), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error)
