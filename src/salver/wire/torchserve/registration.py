"""The management calls that change what is served: register, scale, unregister, in the words of the original.

Of TorchServe it has what names versions, `/models/{model}/{version}` and its `set-default`, whichever the dialect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from salver.errors import Code, LoadError, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer, Request, Route
from salver.types import ModelStatus, VersionState
from salver.wire.torchserve.answers import json_answer, pretty, usual_headers
from salver.wire.torchserve.dialect import MMS, NO_SUCH_MODEL, NOT_ALLOWED, Dialect
from salver.wire.torchserve.errors import Subject, error_answer
from salver.wire.torchserve.listing import java_integer
from salver.wire.torchserve.versions import UNKNOWN, Directory, name_among, number_of

SYNCHRONOUS_WAIT_S = 120.0
NO_URL = "Parameter url is required."
TOO_FEW = "max_worker cannot be less than min_worker."
SCALING = "Workers scaling in progress..."
PROCESSING = "Processing worker updates..."
RUNTIMES = frozenset({"python", "python2", "python3"})
TORCHSERVE_RUNTIMES = frozenset({"python", "python3", "lsp"})
ENDINGS = (".mar", ".model", ".zip", ".tar.gz", ".tgz", ".tar", ".onnx", ".pkl", ".joblib", ".py")
MAX_BATCH_ROWS = 2**31 - 1


# Parameters


def is_json(request: Request) -> bool:
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    return content_type == "application/json" and bool(request.body)


def parameters(request: Request) -> Mapping[str, str]:
    """From the query, or with the same keys from a JSON body, which then is all that counts."""
    if not is_json(request):
        return dict(reversed(request.query))
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise RequestError(Code.INVALID_INPUT, "Failed to parse the JSON of the request.", fix="") from error
    if not isinstance(document, dict):
        raise RequestError(Code.INVALID_INPUT, "The JSON of the request is no object.", fix="")
    return {key: _text(value) for key, value in document.items() if value is not None}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def is_synchronous(request: Request, default: str) -> bool:
    return parameters(request).get("synchronous", default).lower() == "true"


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


class Registration:
    """The calls of one dialect. `served` tells which versions there are, and what they are called."""

    def __init__(
        self, dialect: Dialect, served: Directory, *, is_allowed: bool = True, default_workers: int = 0
    ) -> None:
        """Unless `is_allowed`, models are neither registered nor removed over this protocol."""
        self._dialect = dialect
        self._served = served
        self._is_allowed = is_allowed
        self._default_workers = default_workers

    def routes(self) -> tuple[Route, ...]:
        model, version = "/models/{model}", "/models/{model}/{version}"
        rows = (
            ("PUT", model, models.SCALE, self.read_scale, self.write_scale),
            ("PUT", version, models.SCALE, self.read_scale, self.write_scale),
            ("PUT", f"{version}/set-default", models.PROMOTE, self.read_default, self.write_default),
            ("DELETE", model, models.DELETE, self.read_unregister, self.write_unregister),
            ("DELETE", version, models.DELETE, self.read_unregister, self.write_unregister),
        )
        register = Route(
            methods=("POST",),
            path="/models",
            operation=models.PUBLISH.name,
            read=self.read_register,
            write=self.write_register,
            model=registered_name,
        )
        others = (
            Route(methods=(method,), path=path, operation=operation.name, read=read, write=write)
            for method, path, operation, read, write in rows
        )
        return (register, *others)

    # Versions

    def version(self, request: Request) -> int | None:
        """The version of the address by its number; None where it names none. Raises RequestError."""
        text = request.path_params.get("version")
        if text is None:
            return None
        model = self._model(request)
        if model is None:
            raise RequestError(Code.MODEL_NOT_FOUND, "There is no model of this name.")
        number = number_of(model, text)
        if number == UNKNOWN:
            raise RequestError(Code.VERSION_NOT_FOUND, f"There is no version {text[:64]!r}.")
        return number

    def subject(self, request: Request) -> Subject:
        return Subject(request.path_params.get("model", ""), request.path_params.get("version", ""))

    def _model(self, request: Request) -> ModelStatus | None:
        return self._served().get(request.path_params["model"])

    def _name_of(self, result: models.Outcome, number: int | None) -> str:
        return name_among(result.now or self._served().get(result.model), number)

    # Register

    def read_register(self, request: Request) -> models.PublishVersion:
        self._check_allowed()
        given = parameters(request)
        if not given.get("url"):
            raise RequestError(Code.INVALID_INPUT, NO_URL, fix="")
        return models.PublishVersion(
            model=registered_name(request),
            location=given["url"],
            is_first=not self._dialect.has_versions,
            is_beside=self._dialect.has_versions,
            has_own_name=not given.get("model_name"),
            settings=self._settings(request, given),
            replicas=self._workers(given),
            wait_s=SYNCHRONOUS_WAIT_S if is_synchronous(request, "true") else 0.0,
        )

    def _settings(self, request: Request, given: Mapping[str, str]) -> models.ArtefactSettings:
        """What is said of the model besides. Raises RequestError."""
        runtime = given.get("runtime")
        if runtime and runtime.lower() not in (TORCHSERVE_RUNTIMES if self._dialect.has_versions else RUNTIMES):
            raise RequestError(Code.INVALID_INPUT, f"Invalid RuntimeType value: {runtime}", fix="")
        handler = given.get("handler") or None
        if handler is not None and not (handler.isprintable() and handler.isascii()):
            raise RequestError(Code.INVALID_INPUT, "The handler is no name of a file or module.", fix="")
        rows = java_integer(given.get("batch_size"), 0)
        delay_ms = java_integer(given.get("max_batch_delay"), -1)
        timeout = java_integer(given.get("response_timeout"), 0)
        unit_s = 1 if is_json(request) else self._dialect.response_timeout_unit_s
        return models.ArtefactSettings(
            handler=handler,
            max_batch_rows=rows if rows > 0 else None,
            max_batch_delay_ms=(delay_ms if delay_ms >= 0 else 100) if rows > 1 else None,
            deadline_s=timeout * unit_s if timeout > 0 else None,
        )

    def _workers(self, given: Mapping[str, str]) -> int:
        return max(0, java_integer(given.get("initial_workers"), self._default_workers))

    def write_register(self, result: models.Outcome, request: Request) -> Answer:
        workers = self._workers(parameters(request))
        dialect = self._dialect
        version = self._name_of(result, result.version)
        if workers == 0:
            return status_answer(200, dialect.registered.format(model=result.model, version=version), request)
        done = dialect.registered_with_workers.format(model=result.model, version=version, workers=workers)
        return self._workers_answer(result, request, is_synchronous(request, "true"), done, result.version)

    # Scale

    def read_scale(self, request: Request) -> models.SetScale:
        given = parameters(request)
        least = max(0, java_integer(given.get("min_worker"), 1))
        most = java_integer(given.get("max_worker"), least)
        if most < least:
            raise RequestError(Code.INVALID_INPUT, TOO_FEW, fix="")
        asked = models.SetScale(
            model=request.path_params["model"],
            replicas=least if most == 0 else max(1, least),
            wait_s=SYNCHRONOUS_WAIT_S if is_synchronous(request, "false") else 0.0,
        )
        if self._dialect.has_versions:
            return replace(asked, version=self._scaled_version(request))
        return asked if most == 0 else replace(asked, min_replicas=max(1, least), max_replicas=most)

    def _scaled_version(self, request: Request) -> int | None:
        """The version of the address, else the default one, whose workers are meant."""
        version = self.version(request)
        model = self._model(request)
        return version if version is not None or model is None else model.default_version

    def write_scale(self, result: models.Outcome, request: Request) -> Answer:
        workers = self.read_scale(request).replicas
        dialect = self._dialect
        words = dialect.scaled_version if "version" in request.path_params else dialect.scaled
        version = request.path_params.get("version", "")
        done = words.format(workers=workers, model=result.model, version=version)
        return self._workers_answer(result, request, is_synchronous(request, "false"), done, result.version)

    # Unregister, and the default version

    def read_unregister(self, request: Request) -> models.DeleteModel:
        """The version, or without one the default version, which takes the model with it when it is the only one."""
        self._check_allowed()
        version = self.version(request)
        model = self._model(request)
        if self._dialect.has_versions and version is None and model is not None and len(model.versions) > 1:
            version = model.default_version
        return models.DeleteModel(model=request.path_params["model"], version=version, wait_s=SYNCHRONOUS_WAIT_S)

    def write_unregister(self, result: models.Outcome, request: Request) -> Answer:
        return status_answer(200, f'Model "{result.model}" unregistered', request)

    def read_default(self, request: Request) -> models.PromoteVersion:
        version = self.version(request)
        assert version is not None
        return models.PromoteVersion(model=request.path_params["model"], version=version)

    def write_default(self, result: models.Outcome, request: Request) -> Answer:
        version = request.path_params["version"] if self._dialect.has_versions else result.version
        words = f'Default version successfully updated for model "{result.model}" to "{version}"'
        return status_answer(200, words, request)

    def _check_allowed(self) -> None:
        if not self._is_allowed:
            raise RequestError(Code.METHOD_NOT_ALLOWED, NOT_ALLOWED, fix="")

    # Answers

    def error(self, error: SalverError, request: Request) -> Answer:
        """In the original's sentences, which say no more than they do."""
        if request.method == "POST" and request.path == "/models":
            return self._registration_error(error, request)
        about = self.subject(request)
        if request.method == "DELETE" and error.code is Code.CONFLICT and self._dialect.has_versions:
            words = f"Cannot remove default version for model {about.model}"
            return exception_answer(403, "InvalidModelVersionException", words, request)
        if request.path.endswith("/set-default") and error.code is Code.VERSION_NOT_FOUND:
            words = f"Model version {about.version} does not exist for model {about.model}"
            return exception_answer(404, "ModelVersionNotFoundException", words, request)
        return error_answer(error, about, request.request_id, self._dialect)

    def _registration_error(self, error: SalverError, request: Request) -> Answer:
        """What is not found here is a file, not a model that is served."""
        if error.code is Code.CONFLICT:
            error = RequestError(Code.CONFLICT, error.message, fix="")
        if error.code is not Code.MODEL_NOT_FOUND:
            return error_answer(error, Subject(registered_name(request)), request.request_id, self._dialect)
        url = parameters(request).get("url", "")
        is_missing = error.message == MMS.not_in_store.format(url=url)
        words = self._dialect.not_in_store.format(url=url) if is_missing else error.message
        return exception_answer(404, NO_SUCH_MODEL, words, request)

    def _workers_answer(
        self, result: models.Outcome, request: Request, waits: bool, done: str, version: int | None
    ) -> Answer:
        """What the original says of workers that were asked for: they are up, not all of them, or on their way."""
        dialect = self._dialect
        if not waits:
            return status_answer(202, PROCESSING, request)
        if not result.is_settled:
            return status_answer(dialect.partial_status, SCALING, request, dialect.partial_phrase)
        versions = () if result.now is None else result.now.versions
        concerned = [found for found in versions if version is None or found.id.version == version]
        failed = next((found for found in concerned if found.state is VersionState.FAILED), None)
        if failed is not None:
            words = dialect.not_started.format(model=result.model, version=self._name_of(result, failed.id.version))
            error: SalverError = LoadError(Code.LOAD_FAILED, f"{words}: {failed.reason}", fix=failed.fix)
            return error_answer(error, Subject(result.model), request.request_id, dialect)
        return status_answer(200, done, request)


def exception_answer(status: int, type: str, message: str, request: Request) -> Answer:
    """An error of one call alone, which no code stands for."""
    document = {"code": status, "type": type, "message": message}
    return Answer(status, pretty(document), headers=usual_headers(request.request_id), close=True)


def status_answer(status: int, words: str, request: Request, phrase: str | None = None) -> Answer:
    return replace(json_answer({"status": words}, request), status=status, phrase=phrase)
