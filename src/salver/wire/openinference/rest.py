"""The Open Inference protocol as the edge sees it: its routes, its predictions, its word on the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
from starlette.routing import compile_path

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server, statistics
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.types import ModelStatus
from salver.wire.openinference import metadata, repository
from salver.wire.openinference.addresses import parse_generate, parse_infer, version_number
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.errors import (
    NOT_ALLOWED,
    NOT_FOUND,
    Subject,
    Unsupported,
    error_answer,
    error_body,
)
from salver.wire.openinference.generation import V2GenerateRoute
from salver.wire.openinference.infer import NAME, V2InferRoute
from salver.wire.openinference.modelconfig import model_config
from salver.wire.openinference.refusals import refusal_of
from salver.wire.openinference.serversettings import (
    TRACE_OFF,
    check_trace,
    log_settings,
    settings_object,
    wanted_kinds,
)
from salver.wire.openinference.statistics import statistics_document

MODEL = "/v2/models/{model}"
VERSION = MODEL + "/versions/{version:int}"
LOAD = "/v2/repository/models/{model}/load"
UNLOAD = "/v2/repository/models/{model}/unload"
TRACE_OF = "/trace/setting"
TRACE = "/v2" + TRACE_OF
PREDICT_ADDRESS = re.compile(r"/v2/models/[^/]+(?:/versions/[0-9]+)?/(?:infer|generate|generate_stream|infer_stream)")
Write = Callable[[Any, Request], Answer]


class OpenInferenceWire:
    """The addresses below `/v2`."""

    name = NAME

    def __init__(self, *, max_body_bytes: int, settings: OpenInferenceSettings | None = None) -> None:
        self._max_body_bytes = max_body_bytes
        self._settings = settings or OpenInferenceSettings()
        health = server.GetHealth()
        self._routes: tuple[Route, ...] = (
            row("GET", "/v2", server.DESCRIBE.name, lambda _: server.Describe(), self._write_server),
            row("GET", "/v2/health/live", server.LIVE.name, lambda _: health, write_live),
            row("GET", "/v2/health/ready", server.READY.name, lambda _: health, write_ready),
            row("GET", "/v2/models/stats", statistics.OF_ALL.name, read_all_statistics, write_statistics),
            *(
                row("GET", place + path, models.GET.name, read_model, write)
                for place in (MODEL, VERSION)
                for path, write in (("", write_metadata), ("/ready", write_model_ready), ("/config", write_config))
            ),
            row("POST", "/v2/repository/index", models.LIST.name, read_index, write_index),
            *(
                row("GET", place + "/stats", statistics.OF_ONE.name, read_statistics, write_statistics)
                for place in (MODEL, VERSION)
            ),
            row("GET", "/v2/logging", server.LOGGING.name, lambda _: server.GetLogging(), write_logging),
            row("POST", "/v2/logging", server.SET_LOGGING.name, read_logging, write_logging),
            row("GET", TRACE, server.LOGGING.name, lambda _: server.GetLogging(), write_trace),
            row("POST", TRACE, server.LOGGING.name, read_trace, write_trace),
            row("GET", MODEL + TRACE_OF, models.GET.name, read_model, write_trace),
            row("POST", MODEL + TRACE_OF, models.GET.name, read_model_trace, write_trace),
            row("POST", LOAD, models.LOAD.name, repository.read_load, write_loaded),
            row("POST", UNLOAD, models.UNLOAD.name, repository.read_unload, lambda *_: Answer(200, b"", None)),
        )
        self._patterns = tuple(compile_path(route.path)[0] for route in self._routes)

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        if method != b"POST":
            return None
        address = parse_infer(target)
        if address is not None:
            return V2InferRoute(address, self._max_body_bytes)
        generating = parse_generate(target)
        return None if generating is None else V2GenerateRoute(*generating)

    def owns(self, path: str) -> bool:
        return path == "/v2" or path.startswith("/v2/")

    def unmatched(self, request: Request) -> Answer:
        text = refusal_of(request.path)
        if text is not None:
            return self.error(Unsupported(text), request)
        if PREDICT_ADDRESS.fullmatch(request.path) or any(
            pattern.fullmatch(request.path) for pattern in self._patterns
        ):
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED, fix=""), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND, fix=""), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        subject = subject_of(request)
        if error.code is Code.MODEL_NOT_FOUND and is_load(request):
            return error_answer(repository.not_in_repository(subject.model))
        return error_answer(error, subject)

    def _write_server(self, result: server.ServerDescription, request: Request) -> Answer:
        version = self._settings.v2_server_version or result.version
        return json_answer(metadata.server_metadata(self._settings.v2_server_name, version))


def row(method: str, path: str, operation: str, read: Callable[[Request], Any], write: Write) -> Route:
    return Route(methods=(method,), path=path, operation=operation, read=read, write=write)


def json_answer(document: Any, status: int = 200) -> Answer:
    return Answer(status, orjson.dumps(document))


def is_load(request: Request) -> bool:
    return request.path.startswith("/v2/repository/") and request.path.endswith("/load")


def subject_of(request: Request) -> Subject:
    version = request.path_params.get("version")
    return Subject(request.path_params.get("model", ""), None if version is None else version_number(version))


# Health


def write_live(result: server.HealthReport, _: Request) -> Answer:
    return json_answer({"live": result.is_live})


def write_ready(result: server.HealthReport, _: Request) -> Answer:
    return json_answer({"ready": result.is_ready}, 200 if result.is_ready else 400)


# Models


def read_model(request: Request) -> models.GetModel:
    about = subject_of(request)
    return models.GetModel(about.model, about.version)


def write_metadata(result: ModelStatus, request: Request) -> Answer:
    return json_answer(metadata.model_metadata(result, subject_of(request).version))


def write_config(result: ModelStatus, request: Request) -> Answer:
    return json_answer(model_config(result, subject_of(request).version))


def write_model_ready(result: ModelStatus, request: Request) -> Answer:
    if not metadata.is_ready(result, subject_of(request).version):
        return Answer(400, error_body("Model version not ready"))
    return json_answer({"name": result.name, "ready": True})


# Statistics


def read_all_statistics(_: Request) -> statistics.GetAllStatistics:
    return statistics.GetAllStatistics()


def read_statistics(request: Request) -> statistics.GetStatistics:
    about = subject_of(request)
    return statistics.GetStatistics(about.model, about.version)


def write_statistics(result: statistics.Statistics, _: Request) -> Answer:
    return json_answer(statistics_document(result))


# Settings


def read_logging(request: Request) -> server.SetLogging:
    return wanted_kinds(settings_object(request))


def write_logging(result: server.LogLevel, _: Request) -> Answer:
    return json_answer(log_settings(result))


def read_trace(request: Request) -> server.GetLogging:
    check_trace(settings_object(request))
    return server.GetLogging()


def read_model_trace(request: Request) -> models.GetModel:
    check_trace(settings_object(request))
    return read_model(request)


def write_trace(*_: object) -> Answer:
    return json_answer(TRACE_OFF)


# The repository


def read_index(request: Request) -> models.ListModels:
    repository.wants_ready_only(request)
    return models.ListModels()


def write_index(result: models.ModelList, request: Request) -> Answer:
    return json_answer(repository.index(result, is_ready_only=repository.wants_ready_only(request)))


def write_loaded(result: models.Outcome, _: Request) -> Answer:
    repository.check_loaded(result)
    return Answer(200, b"", None)
