"""The Open Inference protocol as the edge sees it: its routes, its predictions, its word on the rest."""

from __future__ import annotations

import re

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.wire.openinference.addresses import parse_infer, version_number
from salver.wire.openinference.errors import NOT_ALLOWED, NOT_FOUND, Subject, error_answer
from salver.wire.openinference.infer import NAME, V2InferRoute

INFER_ADDRESS = re.compile(r"/v2/models/[^/]+(?:/versions/[0-9]+)?/infer")


class OpenInferenceWire:
    """The addresses below `/v2`."""

    name = NAME

    def __init__(self, *, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._routes: tuple[Route, ...] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        address = parse_infer(target) if method == b"POST" else None
        return None if address is None else V2InferRoute(address, self._max_body_bytes)

    def owns(self, path: str) -> bool:
        return path == "/v2" or path.startswith("/v2/")

    def unmatched(self, request: Request) -> Answer:
        if INFER_ADDRESS.fullmatch(request.path):
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED, fix=""), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND, fix=""), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error, subject_of(request))


def subject_of(request: Request) -> Subject:
    version = request.path_params.get("version")
    return Subject(request.path_params.get("model", ""), None if version is None else version_number(version))
