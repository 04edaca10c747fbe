"""The native wire as the edge sees it: its routes, its prediction addresses, and its word on everything else."""

from __future__ import annotations

import re
from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations import server
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.wire.native import home
from salver.wire.native.addresses import parse_predict
from salver.wire.native.changes import change_endpoints
from salver.wire.native.documents import AddressDocument, ServerDocument
from salver.wire.native.endpoint import Endpoint, always, answer_headers, get, json_answer
from salver.wire.native.endpoints import access_endpoints, health_endpoints, model_endpoints
from salver.wire.native.environments import environment_endpoints
from salver.wire.native.errors import error_answer
from salver.wire.native.openapi.server import server_openapi
from salver.wire.native.predict import NativePredictRoute

DEFAULT_MAX_BODY_BYTES = 64 * 1024 * 1024
OWN_PREFIXES = ("/api/", "/health/")


class NativeWire:
    """Salver's own REST API."""

    name = "native"

    def __init__(self, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> None:
        """`max_body_bytes` bounds a body once it is inflated; the edge bounds it as it was sent."""
        self._max_body_bytes = max_body_bytes
        self._endpoints = (
            Endpoint(
                route=get("/", server.DESCRIBE.name, always(server.Describe()), self._write_home),
                summary="This list: what answers at this port.",
                gives=ServerDocument,
            ),
            Endpoint(
                route=get("/openapi.json", server.DESCRIBE.name, always(server.Describe()), self._write_openapi),
                summary="An OpenAPI 3.1 document of these addresses.",
            ),
            *model_endpoints(),
            *change_endpoints(),
            *environment_endpoints(),
            *health_endpoints(),
            *access_endpoints(),
        )
        self._routes = tuple(endpoint.route for endpoint in self._endpoints)
        self._methods = methods_by_pattern(self._routes)

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        address = parse_predict(target) if method == b"POST" else None
        return None if address is None else NativePredictRoute(address, self._max_body_bytes)

    def owns(self, path: str) -> bool:
        return path.startswith(OWN_PREFIXES) or bool(self._allowed(path))

    def unmatched(self, request: Request) -> Answer:
        if self._allowed(request.path):
            message = f"This address does not answer {request.method[:16]}."
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, message), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, f"Nothing answers at {request.path[:256]}."), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        allow = self._allowed(request.path) if error.code is Code.METHOD_NOT_ALLOWED else ()
        return error_answer(error, request.request_id, allow)

    def _allowed(self, path: str) -> tuple[str, ...]:
        """The methods that an address answers; none when it is unknown."""
        found = next((methods for pattern, methods in self._methods if pattern.fullmatch(path)), ())
        return tuple(sorted(found))

    def _write_home(self, result: server.ServerDescription, request: Request) -> Answer:
        document = home.server_document(result, self._addresses())
        if not home.prefers_page(request):
            return json_answer(document, request)
        return Answer(
            status=200,
            body=home.page(document),
            content_type="text/html; charset=utf-8",
            headers=(*answer_headers(request), *home.PAGE_HEADERS),
        )

    def _write_openapi(self, result: server.ServerDescription, request: Request) -> Answer:
        return json_answer(server_openapi(self._endpoints, result.version, request.base_url), request)

    def _addresses(self) -> tuple[AddressDocument, ...]:
        return tuple(
            AddressDocument(method=endpoint.method, path=endpoint.route.path, summary=endpoint.summary)
            for endpoint in self._endpoints
        )


def methods_by_pattern(routes: tuple[Route, ...]) -> tuple[tuple[re.Pattern[str], frozenset[str]], ...]:
    """The methods of each address, the prediction addresses too, by a pattern of its path."""
    methods: dict[str, set[str]] = {path: {"POST"} for _, path, _ in home.PREDICT_ADDRESSES["native"]}
    for route in routes:
        methods.setdefault(route.path, set()).update(route.methods)
    return tuple((path_pattern(path), frozenset(allowed)) for path, allowed in methods.items())


def path_pattern(template: str) -> re.Pattern[str]:
    pieces: list[Any] = re.split(r"\{\w+\}", template)
    return re.compile("[^/]+".join(map(re.escape, pieces)))
