"""TensorFlow Serving's REST protocol as the edge sees it: its routes, its predictions, its word on the rest."""

from __future__ import annotations

from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.wire.tfserving.addresses import Address, AddressError, Verb, malformed, parse_address
from salver.wire.tfserving.classify import TfExamplesRoute
from salver.wire.tfserving.errors import Headers, error_answer, invalid
from salver.wire.tfserving.monitoring import monitoring_route
from salver.wire.tfserving.predict import TfPredictRoute
from salver.wire.tfserving.status import metadata_answer, status_answer
from salver.wire.tfserving.texts import missing_text

CORS_HEADERS = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, GET"),
    ("Access-Control-Allow-Headers", "Content-Type"),
)
ORIGINS = ("http://", "https://")
NOT_FOUND_PAGE = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"
"""What is outside of `/v1/` belongs to no API: at a port of this protocol alone, clients get a page, as before."""
PREFIXES = ("/v1/models", "/V1/models")
PLACES = ("/{model}", "/{model}/versions/{version}", "/{model}/labels/{label}")


class TfServingWire:
    """The addresses below `/v1/`. With `allow_cors` every answer may be read by web pages of any origin."""

    name = "tfserving"

    def __init__(self, *, max_body_bytes: int, allow_cors: bool = False, monitoring_path: str = "") -> None:
        self._max_body_bytes = max_body_bytes
        self._headers: Headers = CORS_HEADERS if allow_cors else ()
        self._routes = tuple(
            Route(methods=("GET",), path=path, operation=models.GET.name, read=read_model, write=self._write_model)
            for prefix in PREFIXES
            for place in PLACES
            for path in (prefix + place, f"{prefix}{place}/metadata")
        )
        if monitoring_path:
            self._routes += (monitoring_route(monitoring_path),)

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        try:
            address = parse_address("POST", target) if method == b"POST" else None
        except AddressError:
            return None  # the ordinary road says why
        if address is None:
            return None
        kind = TfPredictRoute if address.verb is Verb.PREDICT else TfExamplesRoute
        return kind(address, self._max_body_bytes, self._headers)

    def owns(self, path: str) -> bool:
        return path[:4].lower() == "/v1/"

    def unmatched(self, request: Request) -> Answer:
        if request.method == "OPTIONS":
            origin = request.header("origin") or ""
            return Answer(200 if origin.startswith(ORIGINS) else 400, b"", None, self._headers)
        if not self.owns(request.path):
            return Answer(404, NOT_FOUND_PAGE, "text/html", self._headers)
        return error_answer(_address_error(request), None, self._headers)

    def error(self, error: SalverError, request: Request) -> Answer:
        if error.code in (Code.ROUTE_NOT_FOUND, Code.METHOD_NOT_ALLOWED):
            return self.unmatched(request)
        address = _address(request)
        return error_answer(error, None if address is None else missing_text(error.code, address), self._headers)

    def _write_model(self, result: Any, request: Request) -> Answer:
        address = read_address(request)
        write = metadata_answer if address.verb is Verb.METADATA else status_answer
        return write(result, address, self._headers)


def read_model(request: Request) -> models.GetModel:
    """A status address answers for all versions whatever label it names; only metadata resolves the label."""
    address = read_address(request)
    label = address.label if address.verb is Verb.METADATA else None
    return models.GetModel(address.model, address.version, label)


def read_address(request: Request) -> Address:
    """Raises RequestError(ROUTE_NOT_FOUND) for what only looks like one of the addresses."""
    address = _address(request)
    if address is None:
        raise RequestError(Code.ROUTE_NOT_FOUND, malformed(request.method, _target(request)), fix="")
    return address


def _address(request: Request) -> Address | None:
    try:
        return parse_address(request.method, _target(request))
    except AddressError:
        return None


def _address_error(request: Request) -> RequestError:
    """Why an address that matched no route is none."""
    try:
        parse_address(request.method, _target(request))
    except AddressError as error:
        return invalid(str(error))
    return invalid(malformed(request.method, _target(request)))


def _target(request: Request) -> bytes:
    return request.raw_path.encode("utf-8", "replace")
