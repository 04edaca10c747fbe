"""MXNet Model Server's management API: its addresses. ``registration.py`` has what changes state."""

from __future__ import annotations

import re

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.types import ModelStatus
from salver.wire.torchserve import openapi
from salver.wire.torchserve.answers import json_answer
from salver.wire.torchserve.errors import NOT_ALLOWED, NOT_FOUND, error_answer
from salver.wire.torchserve.listing import describe_document, list_document
from salver.wire.torchserve.registration import change_routes, registration_error, subject_of

MODEL_ADDRESS = re.compile(r"/models(/[^/]+)?/?")


class MmsManagementWire:
    """The management API of MXNet Model Server, for a port of its own (8081): every address there is its own."""

    name = "mms-management"

    def __init__(self) -> None:
        self._routes = (
            Route(
                methods=("GET",),
                path="/models",
                operation=models.LIST.name,
                read=lambda _: models.ListModels(),
                write=write_list,
            ),
            Route(
                methods=("GET",),
                path="/models/{model}",
                operation=models.GET.name,
                read=lambda request: models.GetModel(model=request.path_params["model"]),
                write=write_model,
            ),
            *change_routes(),
            *(
                Route(
                    methods=methods,
                    path=path,
                    operation=server.DESCRIBE.name,
                    read=lambda _: server.Describe(),
                    write=write_description,
                )
                for methods, path in ((("OPTIONS",), "/"), (("*",), "/api-description"))
            ),
        )

    @property
    def routes(self) -> tuple[Route, ...]:
        return self._routes

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        return None

    def owns(self, path: str) -> bool:
        return path.startswith("/")

    def unmatched(self, request: Request) -> Answer:
        is_model = MODEL_ADDRESS.fullmatch(request.path) is not None
        if is_model or request.path == "/":
            return self.error(RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED), request)
        return self.error(RequestError(Code.ROUTE_NOT_FOUND, NOT_FOUND), request)

    def error(self, error: SalverError, request: Request) -> Answer:
        if request.method == "POST" and request.path == "/models":
            return registration_error(error, request)
        return error_answer(error, subject_of(request), request.request_id)


def write_list(result: models.ModelList, request: Request) -> Answer:
    return json_answer(
        list_document(result, request.query_value("limit"), request.query_value("next_page_token")), request
    )


def write_model(result: ModelStatus, request: Request) -> Answer:
    return json_answer(describe_document(result), request)


def write_description(result: server.ServerDescription, request: Request) -> Answer:
    return json_answer(openapi.management_document(result.version), request)
