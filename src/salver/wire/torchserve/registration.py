"""MXNet Model Server's management calls that change what is served: register, scale, unregister, in its own words.

Of TorchServe it has what names versions: `/models/{model}/{version}` and its `set-default`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from salver.errors import Code, LoadError, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer, Request, Route
from salver.types import VersionState
from salver.wire.torchserve.answers import json_answer, pretty, usual_headers
from salver.wire.torchserve.errors import Subject, error_answer
from salver.wire.torchserve.listing import java_integer

SYNCHRONOUS_WAIT_S = 120.0
NO_URL = "Parameter url is required."
TOO_FEW = "max_worker cannot be less than min_worker."
SCALED = "Workers scaled"
SCALING = "Workers scaling in progress..."
PROCESSING = "Processing worker updates..."
NOT_STARTED = "Failed to start workers"
ENDINGS = (".mar", ".model", ".zip", ".tar.gz", ".tgz", ".tar", ".onnx", ".pkl", ".joblib", ".py")


# Parameters


def parameters(request: Request) -> Mapping[str, str]:
    """From the query, or with the same keys from a JSON body, which then is all that counts."""
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type != "application/json" or not request.body:
        return dict(reversed(request.query))
    try:
        document = json.loads(request.body)
    except ValueError as error:
        raise RequestError(Code.INVALID_INPUT, "Failed to parse the JSON of the request.", fix="") from error
    if not isinstance(document, dict):
        raise RequestError(Code.INVALID_INPUT, "The JSON of the request is no object.", fix="")
    return {key: _text(value) for key, value in document.items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_synchronous(request: Request, default: str) -> bool:
    return parameters(request).get("synchronous", default).lower() == "true"


def version_of(request: Request) -> int | None:
    text = request.path_params.get("version")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RequestError(Code.VERSION_NOT_FOUND, f"A version is a whole number, not {text[:64]!r}.")
    return int(text)


# Register


def registered_name(request: Request) -> str:
    """The model that is registered, for the permission: as the call names it, else as the file is called."""
    try:
        given = parameters(request)
    except RequestError:
        return ""
    url = given.get("url", "").partition("@sha256:")[0]
    name = given.get("model_name") or url.rstrip("/").replace(":", "/").rpartition("/")[2]
    ending = next((ending for ending in ENDINGS if name.lower().endswith(ending)), "")
    return name if given.get("model_name") or not ending else name[: -len(ending)]


def read_register(request: Request) -> models.PublishVersion:
    given = parameters(request)
    if not given.get("url"):
        raise RequestError(Code.INVALID_INPUT, NO_URL, fix="")
    return models.PublishVersion(
        model=registered_name(request),
        location=given["url"],
        is_first=True,
        replicas=max(0, java_integer(given.get("initial_workers"), 0)),
        wait_s=SYNCHRONOUS_WAIT_S if is_synchronous(request, "true") else 0.0,
    )


def write_register(result: models.Outcome, request: Request) -> Answer:
    if java_integer(parameters(request).get("initial_workers"), 0) <= 0:
        return status_answer(200, f'Model "{result.model}" registered', request)
    return workers_answer(result, request, is_synchronous(request, "true"))


# Scale


def read_scale(request: Request) -> models.SetScale:
    given = parameters(request)
    least = max(0, java_integer(given.get("min_worker"), 1))
    most = java_integer(given.get("max_worker"), least)
    if most < least:
        raise RequestError(Code.INVALID_INPUT, TOO_FEW, fix="")
    wait_s = SYNCHRONOUS_WAIT_S if is_synchronous(request, "false") else 0.0
    model = request.path_params["model"]
    if most == 0:
        return models.SetScale(model=model, replicas=0, wait_s=wait_s)
    least = max(1, least)
    return models.SetScale(model=model, replicas=least, min_replicas=least, max_replicas=most, wait_s=wait_s)


def write_scale(result: models.Outcome, request: Request) -> Answer:
    return workers_answer(result, request, is_synchronous(request, "false"))


# Unregister, and the default version


def read_unregister(request: Request) -> models.DeleteModel:
    return models.DeleteModel(
        model=request.path_params["model"], version=version_of(request), wait_s=SYNCHRONOUS_WAIT_S
    )


def write_unregister(result: models.Outcome, request: Request) -> Answer:
    return status_answer(200, f'Model "{result.model}" unregistered', request)


def read_default(request: Request) -> models.PromoteVersion:
    version = version_of(request)
    assert version is not None
    return models.PromoteVersion(model=request.path_params["model"], version=version)


def write_default(result: models.Outcome, request: Request) -> Answer:
    words = f'Default version successfully updated for model "{result.model}" to "{result.version}"'
    return status_answer(200, words, request)


# Answers


def subject_of(request: Request) -> Subject:
    version = request.path_params.get("version", "")
    return Subject(request.path_params.get("model", ""), int(version) if version.isdecimal() else None)


def registration_error(error: SalverError, request: Request) -> Answer:
    """In the original's sentences, which say no more: what is not found here is a file, not a model that is served."""
    if error.code is Code.CONFLICT:
        error = RequestError(Code.CONFLICT, error.message, fix="")
    if error.code is not Code.MODEL_NOT_FOUND:
        return error_answer(error, Subject(registered_name(request)), request.request_id)
    document = {"code": 404, "type": "ModelNotFoundException", "message": error.message}
    return Answer(404, pretty(document), headers=usual_headers(request.request_id), close=True)


def workers_answer(result: models.Outcome, request: Request, waits: bool) -> Answer:
    """What the original says of workers that were asked for: they are up, not all of them, or they are on their way."""
    if not waits:
        return status_answer(202, PROCESSING, request)
    if not result.is_settled:
        return status_answer(210, SCALING, request, "Partial Success")
    versions = () if result.now is None else result.now.versions
    failed = next((version for version in versions if version.state is VersionState.FAILED), None)
    if failed is not None:
        error: SalverError = LoadError(Code.LOAD_FAILED, f"{NOT_STARTED}: {failed.reason}", fix=failed.fix)
        return error_answer(error, Subject(result.model), request.request_id)
    return status_answer(200, SCALED, request)


def status_answer(status: int, words: str, request: Request, phrase: str | None = None) -> Answer:
    answer = json_answer({"status": words}, request)
    return Answer(
        status,
        answer.body,
        content_type=answer.content_type,
        headers=answer.headers,
        phrase=phrase,
        close=answer.close,
    )


# The rows


def change_routes() -> tuple[Route, ...]:
    def row(
        method: str,
        path: str,
        operation: str,
        read: Callable[[Request], Any],
        write: Callable[[Any, Request], Answer],
    ) -> Route:
        return Route(methods=(method,), path=path, operation=operation, read=read, write=write)

    model, version = "/models/{model}", "/models/{model}/{version}"
    return (
        Route(
            methods=("POST",),
            path="/models",
            operation=models.PUBLISH.name,
            read=read_register,
            write=write_register,
            model=registered_name,
        ),
        row("PUT", model, models.SCALE.name, read_scale, write_scale),
        row("PUT", version, models.SCALE.name, read_scale, write_scale),
        row("PUT", f"{version}/set-default", models.PROMOTE.name, read_default, write_default),
        row("DELETE", model, models.DELETE.name, read_unregister, write_unregister),
        row("DELETE", version, models.DELETE.name, read_unregister, write_unregister),
    )
