"""MXNet Model Server's inference API: predictions, ping and the description of the API."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, unquote

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer, AnsweredCall, Exchange, PredictRoute, Request, Route
from salver.operations.inference import PREDICT
from salver.types import InferRequest, InferResponse, ModelStatus, VersionInfo
from salver.wire.torchserve import openapi
from salver.wire.torchserve.answers import json_answer
from salver.wire.torchserve.decoding import Plan, decode, plan_for
from salver.wire.torchserve.encoding import encode
from salver.wire.torchserve.errors import NOT_ALLOWED, NOT_FOUND, Subject, error_answer

NAME = "mms"
OWN_PREFIXES = ("/predictions/", "/prediction/", "/invocations/", "/ping/", "/api-description/")
OWN_PATHS = frozenset({"/"} | {prefix[:-1] for prefix in OWN_PREFIXES})
NOT_A_MODEL = frozenset({"", "models", "ping", "api-description", "invocations"})
"""First segments that are addresses of their own, and so name no model in the old form ``/{model}/predict``."""
MAX_VERSION_DIGITS = 18


class MmsPredictRoute:
    """One prediction address. `query` is what becomes inputs of a handler; empty where the original ignores it."""

    wire = NAME
    operation = PREDICT.name
    label: str | None = None

    __slots__ = ("_plan", "_query", "model", "version")

    def __init__(self, model: str, version: int | None = None, query: bytes = b"") -> None:
        self.model = model
        self.version = version
        self._query = query
        self._plan: Plan | None = None

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan = plan_for(version)
        return decode(exchange, plan, self._query)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        return encode(response, request, call.request_id)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return error_answer(error, Subject(self.model, self.version), call.request_id if call else "")


class MmsWire:
    """The inference API of MXNet Model Server (Multi Model Server)."""

    name = NAME

    def __init__(self, only_model: Callable[[], str | None]) -> None:
        self._only_model = only_model
        """The name of the model that `/invocations` means when it names none: the only one served, or None."""
        describe = Route(
            methods=("*",),
            path="/api-description",
            operation=server.DESCRIBE.name,
            read=lambda _: server.Describe(),
            write=write_description,
        )
        self._routes = (
            Route(
                methods=("*",),
                path="/ping",
                operation=server.READY.name,
                read=lambda _: server.GetHealth(),
                write=write_ping,
            ),
            describe,
            Route(
                methods=("OPTIONS",), path="/", operation=describe.operation, read=describe.read, write=describe.write
            ),
            *(self._model_description(path) for path in ("/predictions/{model}", "/models/{model}/invoke")),
            self._model_description("/{model}/predict"),
            self._model_description("/invocations"),
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        """Any verb predicts but OPTIONS, which asks for a description."""
        if method == b"OPTIONS":
            return None
        path, _, query = target.partition(b"?")
        match [unquote(segment.decode("latin-1")) for segment in path.split(b"/")]:
            case ["", "predictions" | "prediction", model, *rest] if model:
                return _prediction(model, rest)
            case ["", "invocations"]:
                named = parse_qs(query.decode("latin-1")).get("model_name")
                only = named[-1] if named else self._only_model()
                return MmsPredictRoute(only, query=query) if only else None
            case ["", "models", model, "invoke"] if model:
                return MmsPredictRoute(model, query=query)
            case ["", model, "predict"] if model not in NOT_A_MODEL:
                return MmsPredictRoute(model, query=query)
        return None

    def owns(self, path: str) -> bool:
        return path in OWN_PATHS or path.startswith(OWN_PREFIXES)

    def unmatched(self, request: Request) -> Answer:
        if request.path == "/":
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED), request)
        if request.path == "/invocations":
            return self.error(_name_required(), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error, Subject(request.path_params.get("model", "")), request.request_id)

    def _model_description(self, path: str) -> Route:
        return Route(
            methods=("OPTIONS",),
            path=path,
            operation=models.GET.name,
            read=self._read_model,
            write=write_model_description,
            model=lambda request: self._model_of(request) or "",
        )

    def _read_model(self, request: Request) -> models.GetModel:
        model = self._model_of(request)
        if model is None:
            raise _name_required()
        return models.GetModel(model=model)

    def _model_of(self, request: Request) -> str | None:
        named = request.path_params.get("model")
        return named or request.query_value("model_name") or self._only_model()


def _prediction(model: str, rest: list[str]) -> PredictRoute | None:
    """A version's digits behind the model's name count, as in TorchServe; any other segments are ignored."""
    if not rest or not (rest[0].isascii() and rest[0].isdigit()):
        return MmsPredictRoute(model)
    return MmsPredictRoute(model, int(rest[0])) if len(rest[0]) <= MAX_VERSION_DIGITS else None


def _name_required() -> RequestError:
    return RequestError(Code.INVALID_INPUT, "Parameter model_name is required.", fix="")


def write_ping(result: server.HealthReport, request: Request) -> Answer:
    return json_answer({"status": ping_status(result.replicas_ready, result.replicas_wanted)}, request)


def ping_status(ready: int, wanted: int) -> str:
    """The original's word for how many of the wanted workers run; always under status 200."""
    if ready >= wanted:
        return "Healthy"
    return "Partial Healthy" if ready else "Unhealthy"


def write_description(result: server.ServerDescription, request: Request) -> Answer:
    return json_answer(openapi.inference_document(result.version), request)


def write_model_description(result: ModelStatus, request: Request) -> Answer:
    return json_answer(openapi.model_document(result), request)
