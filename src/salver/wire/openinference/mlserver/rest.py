"""MLServer's addresses as the edge sees them."""

from __future__ import annotations

import re
from typing import Any

from starlette.routing import compile_path

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.types import ModelStatus, VersionState
from salver.wire.openinference import metadata, repository
from salver.wire.openinference.addresses import parse_generate, parse_infer
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.errors import NOT_ALLOWED, NOT_FOUND, shown
from salver.wire.openinference.mlserver.document import parse_object
from salver.wire.openinference.mlserver.errors import error_answer, not_found, text_body
from salver.wire.openinference.mlserver.infer import NAME, MlServerInferRoute
from salver.wire.openinference.rest import (
    LOAD,
    MODEL,
    PREDICT_ADDRESS,
    UNLOAD,
    VERSION,
    json_answer,
    read_model,
    row,
    subject_of,
)

NAMED_VERSION = re.compile(r"/v2/models/([^/]+)/versions/([^/]+)(?:/ready|/infer)?")
WAITING = (VersionState.QUEUED, VersionState.STARTING)


class MlServerWire:
    """The addresses below `/v2` that MLServer has."""

    name = NAME

    def __init__(self, *, max_body_bytes: int, settings: OpenInferenceSettings | None = None) -> None:
        self._max_body_bytes = max_body_bytes
        self._settings = settings or OpenInferenceSettings()
        health = server.GetHealth()
        self._routes: tuple[Route, ...] = (
            row("GET", "/v2", server.DESCRIBE.name, lambda _: server.Describe(), self._write_server),
            row("GET", "/v2/health/live", server.LIVE.name, lambda _: health, write_live),
            row("GET", "/v2/health/ready", server.READY.name, lambda _: health, write_ready),
            *(
                row("GET", place + path, models.GET.name, read_model, write)
                for place in (MODEL, VERSION)
                for path, write in (("", write_metadata), ("/ready", write_model_ready))
            ),
            row("POST", "/v2/repository/index", models.LIST.name, read_index, write_index),
            row("POST", LOAD, models.LOAD.name, read_load, write_loaded),
            row("POST", UNLOAD, models.UNLOAD.name, read_unload, lambda *_: empty()),
        )
        self._patterns = tuple(compile_path(route.path)[0] for route in self._routes)

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        if method != b"POST":
            return None
        name = self._settings.v2_server_name
        address = parse_infer(target)
        if address is not None:
            return MlServerInferRoute(address, self._max_body_bytes, server_name=name)
        generating = parse_generate(target)
        if generating is None:
            return None
        is_stream = generating[1].endswith("_stream")
        return MlServerInferRoute(generating[0], self._max_body_bytes, server_name=name, is_stream=is_stream)

    def owns(self, path: str) -> bool:
        return path == "/v2" or path.startswith("/v2/")

    def unmatched(self, request: Request) -> Answer:
        path = request.path
        if PREDICT_ADDRESS.fullmatch(path) or any(pattern.fullmatch(path) for pattern in self._patterns):
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED, fix=""), request)
        named = NAMED_VERSION.fullmatch(path)
        if named is not None:  # a version that no number is: the original has none of that name either
            text = f"Model {shown(named[1])} with version {shown(named[2])} not found"
            return Answer(404, text_body(text))
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND, fix=""), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        about = subject_of(request)
        return error_answer(error, about, about.version)

    def _write_server(self, result: server.ServerDescription, request: Request) -> Answer:
        version = self._settings.v2_server_version or result.version
        return json_answer(metadata.server_metadata(self._settings.v2_server_name, version))


def empty(status: int = 200) -> Answer:
    return Answer(status, b"", None)


def write_live(result: server.HealthReport, _: Request) -> Answer:
    return empty(200 if result.is_live else 400)


def write_ready(result: server.HealthReport, _: Request) -> Answer:
    return empty(200 if result.is_ready else 400)


def write_metadata(result: ModelStatus, request: Request) -> Answer:
    return json_answer(metadata.model_metadata(result, subject_of(request).version) | {"parameters": {}})


def write_model_ready(result: ModelStatus, request: Request) -> Answer:
    """One that is unloaded is not there, to MLServer."""
    about = subject_of(request)
    if metadata.is_ready(result, about.version):
        return empty()
    if any(entry.state in WAITING for entry in result.versions):
        return empty(400)
    return Answer(404, text_body(not_found(about)))


def read_index(request: Request) -> models.ListModels:
    """Raises Unprocessable: the original wants a body."""
    parse_object(request.body)
    repository.wants_ready_only(request)
    return models.ListModels()


def write_index(result: models.ModelList, request: Request) -> Answer:
    entries = repository.index(result, is_ready_only=repository.wants_ready_only(request))
    return json_answer(list(map(index_entry, entries)))


def index_entry(known: dict[str, str]) -> dict[str, str]:
    """State and reason are always there; that a model is unloaded is no reason."""
    reason = known.get("reason", "")
    return {"state": "UNKNOWN"} | known | {"reason": "" if reason == repository.UNLOADED else reason}


def read_load(request: Request) -> models.LoadModel:
    """A body is not looked at."""
    return repository.wanted_load(request.path_params["model"], {})


def read_unload(request: Request) -> models.UnloadModel:
    return wanted_unload(request.path_params["model"])


def wanted_unload(model: str) -> models.UnloadModel:
    """Answered once the model is gone."""
    return models.UnloadModel(model=model, wait_s=repository.LOAD_WAIT_S)


def write_loaded(result: Any, _: Request) -> Answer:
    repository.check_loaded(result)
    return empty()
