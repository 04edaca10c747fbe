"""The inference API of both servers: predictions, explanations, ping and the description of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, unquote

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer, AnsweredCall, Exchange, PredictRoute, Request, Route
from salver.operations.inference import PREDICT
from salver.types import InferRequest, InferResponse, ModelStatus, VersionInfo
from salver.wire.torchserve import openapi
from salver.wire.torchserve.addresses import Asked, asked_by_mms, asked_by_torchserve
from salver.wire.torchserve.answers import json_answer, pretty, usual_headers
from salver.wire.torchserve.decoding import NO_HEADERS, Plan, decode, plan_for
from salver.wire.torchserve.dialect import MMS, NOT_ALLOWED, NOT_FOUND, Dialect
from salver.wire.torchserve.encoding import encode
from salver.wire.torchserve.errors import Subject, error_answer
from salver.wire.torchserve.flow import WorkflowRoute
from salver.wire.torchserve.kserve import kserve_routes, takes_bodies
from salver.wire.torchserve.versions import Directory, nothing_served, number_of

OWN_PREFIXES = ("/predictions/", "/prediction/", "/invocations/", "/ping/", "/api-description/", "/wfpredict/")
OWN_PATHS = frozenset({"/"} | {prefix[:-1] for prefix in OWN_PREFIXES})


class MmsPredictRoute:
    """One prediction address. `query` is what becomes inputs of a handler; empty where the original ignores it."""

    operation = PREDICT.name
    label: str | None = None

    __slots__ = ("_dialect", "_plan", "_query", "_subject", "_told", "model", "version", "wire")

    def __init__(self, asked: Asked, version: int | None, wire: str, dialect: Dialect) -> None:
        self.wire = wire
        self.model = asked.model
        self.version = version
        self._query = asked.query
        self._told: Mapping[str, str] = asked.told() if dialect.has_versions else NO_HEADERS
        self._subject = Subject(asked.model, asked.version)
        self._dialect = dialect
        self._plan: Plan | None = None

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        plan = self._plan
        if plan is None or plan.version is not version:
            plan = self._plan = plan_for(version)
        request = decode(exchange, plan, self._query, self._told)
        if plan.signature is None and self._dialect.has_parts and exchange.method != b"HEAD":
            request.want_parts()
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        return encode(response, request, call.request_id)

    def encode_part(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID)."""
        return encode(response, request, call.request_id)

    encode_last = encode_part

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> None:
        """What a handler has begun is nothing that this server could add words to."""

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return error_answer(error, self._subject, call.request_id if call else "", self._dialect)


class MmsWire:
    """The inference API of MXNet Model Server (Multi Model Server) or, by its dialect, of TorchServe."""

    def __init__(
        self,
        only_model: Callable[[], str | None],
        dialect: Dialect = MMS,
        served: Directory = nothing_served,
        *,
        name: str = "",
        has_open_inference: bool = False,
    ) -> None:
        """`only_model` is the name of the model that `/invocations` means when it names none: the only one served."""
        self.name = name or dialect.name
        self._only_model = only_model
        self._dialect = dialect
        self._served = served
        self._read = asked_by_torchserve if dialect.has_versions else asked_by_mms
        self._has_open_inference = has_open_inference
        self._routes = (
            _row("*", "/ping", server.READY.name, lambda _: server.GetHealth(), self._write_ping),
            _row("*", "/api-description", server.DESCRIBE.name, _describe, self._write_description),
            _row("OPTIONS", "/", server.DESCRIBE.name, _describe, self._write_description),
            *(self._model_description(path) for path in ("/predictions/{model}", "/models/{model}/invoke")),
            self._model_description("/{model}/predict"),
            self._model_description("/invocations"),
            *(kserve_routes() if has_open_inference else ()),
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        """Any verb predicts but OPTIONS, which asks for a description."""
        if method == b"OPTIONS":
            return None
        path, _, query = target.partition(b"?")
        segments = [unquote(segment.decode("latin-1")) for segment in path.split(b"/")]
        if segments == ["", "invocations"]:
            named = parse_qs(query.decode("latin-1")).get("model_name")
            only = named[-1] if named else self._only_model()
            asked = Asked(only, query=query) if only else None
        elif self._dialect.has_versions and segments[1] == "wfpredict" and len(segments) > 2 and segments[2]:
            return WorkflowRoute(segments[2], self.name, self._dialect)
        else:
            asked = self._read(segments, query)
        if asked is None:
            return None
        model = self._served().get(asked.model)
        if asked.is_kserve and not (method == b"POST" and takes_bodies(model, self._has_open_inference)):
            return None  # tensors are for the wires of TensorFlow Serving and of Open Inference, at the same port
        return MmsPredictRoute(asked, self._version(asked, model), self.name, self._dialect)

    def _version(self, asked: Asked, model: ModelStatus | None) -> int | None:
        if not asked.version:
            return None
        return number_of(model, asked.version) if self._dialect.has_versions else int(asked.version)

    def owns(self, path: str) -> bool:
        return path in OWN_PATHS or path.startswith(OWN_PREFIXES)

    def unmatched(self, request: Request) -> Answer:
        if request.path == "/":
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED), request)
        if request.path == "/invocations":
            return self.error(_name_required(), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        about = Subject(request.path_params.get("model", ""))
        return error_answer(error, about, request.request_id, self._dialect)

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

    def _write_ping(self, result: server.HealthReport, request: Request) -> Answer:
        """MMS has three words under 200, TorchServe two under two statuses."""
        status = ping_status(result.replicas_ready, result.replicas_wanted)
        if status == HEALTHY or self._dialect.unhealthy_status == 200:
            return json_answer({"status": status}, request)
        headers = usual_headers(request.request_id)
        return Answer(self._dialect.unhealthy_status, pretty({"status": UNHEALTHY}), headers=headers, close=True)

    def _write_description(self, result: server.ServerDescription, request: Request) -> Answer:
        return json_answer(openapi.inference_document(result.version, self._dialect), request)


def _row(
    method: str, path: str, operation: str, read: Callable[[Request], object], write: Callable[..., Answer]
) -> Route:
    return Route(methods=(method,), path=path, operation=operation, read=read, write=write)


def _describe(_: Request) -> server.Describe:
    return server.Describe()


def _name_required() -> RequestError:
    return RequestError(Code.INVALID_INPUT, "Parameter model_name is required.", fix="")


HEALTHY = "Healthy"
UNHEALTHY = "Unhealthy"


def ping_status(ready: int, wanted: int) -> str:
    """MMS's word for how many of the wanted workers run."""
    if ready >= wanted:
        return HEALTHY
    return "Partial Healthy" if ready else UNHEALTHY


def write_model_description(result: ModelStatus, request: Request) -> Answer:
    return json_answer(openapi.model_document(result), request)
