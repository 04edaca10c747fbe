"""The addresses that change what is served, as rows; all answer with how the model stands afterwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from salver.errors import Code, RequestError
from salver.operations import models
from salver.operations.base import Answer, Operation, Request, Route
from salver.wire.native import changeviews
from salver.wire.native.addresses import MODELS
from salver.wire.native.changedocuments import (
    LoadRequest,
    OutcomeDocument,
    PolicyRequest,
    RouteRequest,
    ScaleRequest,
    VersionRequest,
    VersionsDocument,
)
from salver.wire.native.endpoint import Endpoint, answer_headers, demand_json, get, json_answer, version_number

Document = TypeVar("Document")
Parameters = TypeVar("Parameters", bound=models.Change)

MODEL = f"{MODELS}/{{model}}"
SIMPLE_TYPES = frozenset({"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})
"""What a form of a web page can send."""
FILE_NAMES = {
    "application/zip": "upload.zip",
    "application/x-zip-compressed": "upload.zip",
    "application/x-tar": "upload.tar",
    "application/gzip": "upload.tar.gz",
    "application/x-gzip": "upload.tar.gz",
}
"""What an upload without a name is, by its content type."""


# What goes with every change


def change_of(kind: type[Parameters], request: Request, **fields: Any) -> Parameters:
    """The parameters of a change, with what the query says of it."""
    return kind(
        model=request.path_params["model"],
        is_plan=switch(request, "plan"),
        wait_s=seconds(request, "wait", models.DEFAULT_WAIT_S, models.MAX_WAIT_S),
        revision=whole(request, "revision"),
        **fields,
    )


def switch(request: Request, name: str) -> bool:
    text = request.query_value(name)
    if text in (None, "false", "0"):
        return False
    if text in ("", "true", "1"):
        return True
    raise _invalid(f"{name} is true or false, not {(text or '')[:64]!r}.", f"Send ?{name}=true, or leave it out.")


def seconds(request: Request, name: str, default: float, most: float) -> float:
    text = request.query_value(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= most:
        raise _invalid(f"{name} must be a number of seconds from 0 to {most:g}.", f"Send for example ?{name}=10.")
    return value


def whole(request: Request, name: str) -> int | None:
    text = request.query_value(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _invalid(f"{name} must be a whole number.", f"Send for example ?{name}=3, or leave it out.")
    return int(text)


def body_of(kind: type[Document], request: Request) -> Document:
    """The JSON document of the body; an empty body is an empty document."""
    demand_json(request)
    try:
        return msgspec.json.decode(request.body or b"{}", type=kind)
    except msgspec.DecodeError as error:
        fields = ", ".join(field.name for field in msgspec.structs.fields(kind))  # type: ignore[arg-type]
        raise _invalid(f"The body does not fit this address: {error}.", f"Send a JSON object of: {fields}.") from error


def version_in_path(request: Request) -> int | None:
    text = request.path_params.get("version")
    return None if text is None else version_number(text)


def write_outcome(result: models.Outcome, request: Request) -> Answer:
    return json_answer(changeviews.outcome_document(result), request)


# Versions


def read_versions(request: Request) -> models.ListVersions:
    return models.ListVersions(model=request.path_params["model"])


def write_versions(result: models.VersionList, request: Request) -> Answer:
    return json_answer(changeviews.versions_document(result), request)


def read_publish(request: Request) -> models.PublishVersion:
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if content_type in SIMPLE_TYPES or (not content_type and request.method == "POST"):
        raise RequestError(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "This address takes an artefact as it is, or a folder as application/zip or application/x-tar.",
            fix="Send the header `Content-Type: application/octet-stream`, and the file's name as ?file=NAME.",
        )
    return change_of(
        models.PublishVersion,
        request,
        upload=request.upload,
        location=request.query_value("from") or "",
        file_name=file_name(request, FILE_NAMES.get(content_type, "")),
        version=version_in_path(request),
        is_promoted=switch(request, "promote"),
    )


def file_name(request: Request, default: str) -> str:
    name = request.query_value("file") or default
    if not name and request.query_value("from"):
        return ""
    if not name:
        raise _invalid("The name of the file is not told, and its ending says what it is.", "Send ?file=model.onnx.")
    if len(name) > 200 or not name.isprintable() or name in (".", "..") or "/" in name or "\\" in name:
        raise _invalid(f"{name[:64]!r} is no file's name.", "Send the bare name, without a folder.")
    return name


def write_published(result: models.Outcome, request: Request) -> Answer:
    """201 once a version is kept, whether it can be loaded or not; its state says that."""
    document = changeviews.outcome_document(result)
    if result.is_plan:
        return json_answer(document, request)
    place = f"{MODELS}/{result.model}/versions/{result.version}"
    return Answer(
        status=201,
        body=msgspec.json.encode(document),
        headers=(*answer_headers(request), ("Location", place)),
    )


# Changes


def read_promote(request: Request) -> models.PromoteVersion:
    return change_of(models.PromoteVersion, request, version=body_of(VersionRequest, request).version)


def read_label(request: Request) -> models.SetLabel:
    version = body_of(VersionRequest, request).version
    return change_of(models.SetLabel, request, label=request.path_params["label"], version=version)


def read_no_label(request: Request) -> models.SetLabel:
    return change_of(models.SetLabel, request, label=request.path_params["label"], version=None)


def read_route(request: Request) -> models.SetRoute:
    wanted = body_of(RouteRequest, request)
    if not wanted.weights:
        raise _invalid("A route needs at least one version with a weight.", "Send weights, or DELETE the route.")
    return change_of(models.SetRoute, request, weights=wanted.weights, sticky=wanted.sticky)


def read_no_route(request: Request) -> models.SetRoute:
    return change_of(models.SetRoute, request)


def read_scale(request: Request) -> models.SetScale:
    wanted = body_of(ScaleRequest, request)
    return change_of(
        models.SetScale,
        request,
        replicas=wanted.replicas,
        min_replicas=wanted.min_replicas,
        max_replicas=wanted.max_replicas,
        is_on_demand=wanted.on_demand,
        idle_unload_s=wanted.idle_unload_s,
        is_pinned=wanted.pinned,
    )


def read_policy(request: Request) -> models.SetPolicy:
    return change_of(models.SetPolicy, request, policy=changeviews.policy_of(body_of(PolicyRequest, request)))


def read_load(request: Request) -> models.LoadModel:
    return change_of(models.LoadModel, request, version=body_of(LoadRequest, request).version)


def read_bare(kind: type[Parameters]) -> Callable[[Request], Parameters]:
    """Of a change that needs no more than the model's name."""

    def read(request: Request) -> Parameters:
        demand_json(request)
        return change_of(kind, request)

    return read


def read_delete(request: Request) -> models.DeleteModel:
    return change_of(models.DeleteModel, request, version=version_in_path(request))


# The rows


def _row(
    method: str,
    path: str,
    operation: Operation,
    read: Callable[[Request], Any],
    summary: str,
    takes: type | None = None,
) -> Endpoint:
    return Endpoint(
        route=Route(methods=(method,), path=path, operation=operation.name, read=read, write=write_outcome),
        summary=summary,
        takes=takes,
        gives=OutcomeDocument,
        query=("plan", "wait", "revision"),
    )


def _upload(method: str, path: str, summary: str) -> Endpoint:
    return Endpoint(
        route=Route(
            methods=(method,),
            path=path,
            operation=models.PUBLISH.name,
            read=read_publish,
            write=write_published,
            takes_upload=True,
        ),
        summary=summary,
        status=201,
        gives=OutcomeDocument,
        query=("file", "from", "promote", "plan", "wait", "revision"),
    )


def change_endpoints() -> tuple[Endpoint, ...]:
    versions = f"{MODEL}/versions"
    label = f"{MODEL}/labels/{{label}}"
    return (
        Endpoint(
            route=get(versions, models.VERSIONS.name, read_versions, write_versions),
            summary="Every version, loaded or not: where it comes from, its labels, its weight.",
            gives=VersionsDocument,
        ),
        _upload("POST", versions, "Publish the body as the next version: one file, or a folder as zip or tar."),
        _upload("PUT", f"{versions}/{{version}}", "Publish the body as the version of this number."),
        _row("DELETE", f"{versions}/{{version}}", models.DELETE, read_delete, "Delete a version for good."),
        _row("DELETE", MODEL, models.DELETE, read_delete, "Delete a model with all its versions for good."),
        _row("POST", f"{MODEL}/promote", models.PROMOTE, read_promote, models.PROMOTE.summary, VersionRequest),
        _row("POST", f"{MODEL}/rollback", models.ROLLBACK, read_bare(models.RollBack), models.ROLLBACK.summary),
        _row("PUT", label, models.LABEL, read_label, "Let the label name a version.", VersionRequest),
        _row("DELETE", label, models.LABEL, read_no_label, "Take the label away."),
        _row("PUT", f"{MODEL}/route", models.ROUTE, read_route, "Share requests among versions.", RouteRequest),
        _row("DELETE", f"{MODEL}/route", models.ROUTE, read_no_route, "Take the route away."),
        _row("PUT", f"{MODEL}/scale", models.SCALE, read_scale, models.SCALE.summary, ScaleRequest),
        _row("PUT", f"{MODEL}/policy", models.POLICY, read_policy, models.POLICY.summary, PolicyRequest),
        _row("POST", f"{MODEL}/load", models.LOAD, read_load, models.LOAD.summary, LoadRequest),
        _row("POST", f"{MODEL}/unload", models.UNLOAD, read_bare(models.UnloadModel), models.UNLOAD.summary),
    )


def _invalid(message: str, fix: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, message, fix=fix)
