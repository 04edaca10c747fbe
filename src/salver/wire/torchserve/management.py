"""The management API of both servers: its addresses. ``registration.py`` has what changes state."""

from __future__ import annotations

import re

from salver import __version__
from salver.errors import Code, RequestError, SalverError
from salver.operations import access, models, server
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.types import ModelStatus, VersionStatus
from salver.wire.torchserve import openapi
from salver.wire.torchserve.answers import json_answer, usual_headers
from salver.wire.torchserve.dialect import MMS, NOT_ALLOWED, NOT_FOUND, Dialect
from salver.wire.torchserve.errors import error_answer
from salver.wire.torchserve.listing import default_version, describe_document, list_document, version_documents
from salver.wire.torchserve.registration import Registration
from salver.wire.torchserve.versions import UNKNOWN, Directory, nothing_served, number_of
from salver.wire.torchserve.workflows import WorkflowCalls

MODEL_ADDRESS = re.compile(r"/models(/[^/]+)?/?")
VERSION_ADDRESS = re.compile(r"/models(/[^/]+){0,2}/?|/models/[^/]+/[^/]+/set-default")
WORKFLOW_ADDRESS = re.compile(r"/workflows(/[^/]+)?/?")
ALL = "all"


class MmsManagementWire:
    """The management API, for a port of its own (8081): every address there is its own."""

    def __init__(
        self,
        dialect: Dialect = MMS,
        served: Directory = nothing_served,
        *,
        name: str = "",
        is_allowed: bool = True,
        default_workers: int = 0,
    ) -> None:
        """Unless `is_allowed`, models are neither registered nor removed over it."""
        self.name = name or f"{dialect.name}-management"
        self._dialect = dialect
        self._served = served
        self._changes = Registration(dialect, served, is_allowed=is_allowed, default_workers=default_workers)
        self._workflows = WorkflowCalls(dialect, is_allowed=is_allowed) if dialect.has_versions else None
        self._routes = (
            *(() if self._workflows is None else self._workflows.routes()),
            _row("GET", "/models", models.LIST.name, lambda _: models.ListModels(), write_list),
            *self._descriptions(),
            *self._changes.routes(),
            *(
                _row(method, path, server.DESCRIBE.name, lambda _: server.Describe(), self._write_description)
                for method, path in (("OPTIONS", "/"), ("*", "/api-description"))
            ),
        )

    def _descriptions(self) -> tuple[Route, ...]:
        if not self._dialect.has_versions:
            return (_row("GET", "/models/{model}", models.GET.name, read_model, write_model),)
        readiness = _row("GET", "/v1/models/{model}", models.GET.name, read_model, write_readiness)
        return (
            _row("GET", "/models/{model}", models.GET.name, self._read_versions, self._write_versions),
            _row("GET", "/models/{model}/{version}", models.GET.name, self._read_versions, self._write_versions),
            readiness,
            *(
                _row("OPTIONS", path, models.GET.name, read_model, write_management_description)
                for path in ("/models/{model}", "/models/{model}/{version}")
            ),
            _row("GET", "/token", access.KEYS_RENEW.name, read_token, write_token),
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        return None

    def owns(self, path: str) -> bool:
        return path.startswith("/")

    def unmatched(self, request: Request) -> Answer:
        addresses = VERSION_ADDRESS if self._dialect.has_versions else MODEL_ADDRESS
        is_workflow = self._workflows is not None and WORKFLOW_ADDRESS.fullmatch(request.path) is not None
        if request.path == "/" or is_workflow or addresses.fullmatch(request.path) is not None:
            return self._refused(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED), request)
        return self._refused(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        if self._workflows is not None and WORKFLOW_ADDRESS.fullmatch(request.path):
            return self._workflows.error(error, request)
        return self._changes.error(error, request)

    def _refused(self, error: SalverError, request: Request) -> Answer:
        return error_answer(error, self._changes.subject(request), request.request_id, self._dialect)

    def _write_versions(self, result: ModelStatus, request: Request) -> Answer:
        """All versions, the one of the address, or the default one. Raises RequestError(VERSION_NOT_FOUND)."""
        documents = version_documents(result, self._versions(result, request))
        return json_answer(documents, request)

    def _read_versions(self, request: Request) -> models.GetModel:
        """Handlers are asked what they say of themselves one by one: those whose versions are told, and no others."""
        name = request.path_params["model"]
        if (request.query_value("customized") or "").lower() != "true":
            return models.GetModel(model=name)
        text = request.path_params.get("version")
        model = self._served().get(name)
        if text == ALL or model is None:
            return models.GetModel(model=name, is_customized=True)
        number = model.default_version if text is None else number_of(model, text)
        return models.GetModel(model=name, version=number, is_customized=True)

    def _versions(self, model: ModelStatus, request: Request) -> tuple[VersionStatus, ...]:
        if request.path_params.get("version") == ALL:
            return model.versions[::-1]  # the oldest first
        text = request.path_params.get("version")
        if text is None:
            default = default_version(model)
            return () if default is None else (default,)
        number = number_of(model, text)
        if number == UNKNOWN:
            raise RequestError(Code.VERSION_NOT_FOUND, "There is no such version.")
        return tuple(version for version in model.versions if version.id.version == number)

    def _write_description(self, result: server.ServerDescription, request: Request) -> Answer:
        return json_answer(openapi.management_document(result.version, self._dialect), request)


def _row(method: str, path: str, operation: str, read: object, write: object) -> Route:
    return Route(methods=(method,), path=path, operation=operation, read=read, write=write)  # type: ignore[arg-type]


def read_token(request: Request) -> access.RenewKey:
    match request.query_value("type"):
        case "management" | "inference" as kind:
            return access.RenewKey(kind)
    raise RequestError(Code.UNAUTHENTICATED, "There is no such type of key.", fix="Ask for management or inference.")


def write_token(_: object, request: Request) -> Answer:
    """As the original: the key is in the file, and here is nothing."""
    return Answer(200, b"\n", headers=usual_headers(request.request_id))


def read_model(request: Request) -> models.GetModel:
    return models.GetModel(model=request.path_params["model"])


def write_list(result: models.ModelList, request: Request) -> Answer:
    return json_answer(
        list_document(result, request.query_value("limit"), request.query_value("next_page_token")), request
    )


def write_model(result: ModelStatus, request: Request) -> Answer:
    return json_answer(describe_document(result), request)


def write_management_description(result: ModelStatus, request: Request) -> Answer:
    """What may be done with a model, whatever version is named."""
    return json_answer(openapi.model_management_document(result, __version__), request)


def write_readiness(result: ModelStatus, request: Request) -> Answer:
    """As KServe asks for it."""
    default = default_version(result)
    return json_answer({"name": result.name, "ready": default is not None and default.replicas_ready > 0}, request)
