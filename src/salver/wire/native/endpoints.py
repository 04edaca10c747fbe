"""The ordinary addresses of the native wire as rows: address, operation, translations, and what documents say."""

from __future__ import annotations

import msgspec

from salver.errors import Code, RequestError
from salver.operations import access, models, server
from salver.operations.base import Answer, Request, Route
from salver.store.base import AuditLine, KeyRecord
from salver.types import ModelStatus
from salver.wire.native import views
from salver.wire.native.addresses import AUDIT, KEYS, MODELS
from salver.wire.native.documents import (
    AuditDocument,
    CreatedKeyDocument,
    KeyDocument,
    KeyRequest,
    KeysDocument,
    LiveDocument,
    ModelDocument,
    ModelsDocument,
    ReadyDocument,
)
from salver.wire.native.endpoint import (
    Endpoint,
    always,
    answer_headers,
    demand_json,
    get,
    json_answer,
    version_number,
)
from salver.wire.native.openapi.model import write_model as write_model_openapi

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PLACES = ("/{model}", "/{model}/versions/{version}", "/{model}/labels/{label}")
"""The three ways to name what is meant: a model, one of its versions, one of its labels."""


# Models


def write_models(result: models.ModelList, request: Request) -> Answer:
    return json_answer(views.models_document(result), request)


def read_model(request: Request) -> models.GetModel:
    parameters = request.path_params
    version = parameters.get("version")
    return models.GetModel(
        model=parameters["model"],
        version=None if version is None else version_number(version),
        label=parameters.get("label"),
    )


def write_model(result: ModelStatus, request: Request) -> Answer:
    return json_answer(views.model_document(result), request)


# Health and metrics


def write_live(result: server.HealthReport, request: Request) -> Answer:
    return json_answer(LiveDocument(live=result.is_live), request, status=200 if result.is_live else 503)


def write_ready(result: server.HealthReport, request: Request) -> Answer:
    return json_answer(views.ready_document(result), request, status=200 if result.is_ready else 503)


def write_metrics(result: bytes, request: Request) -> Answer:
    return Answer(status=200, body=result, content_type=METRICS_CONTENT_TYPE, headers=answer_headers(request))


# Keys and the audit log


def read_create_key(request: Request) -> access.CreateKey:
    demand_json(request)
    try:
        wanted = msgspec.json.decode(request.body, type=KeyRequest)
    except msgspec.DecodeError as error:
        raise RequestError(
            Code.INVALID_INPUT,
            f"The body is not a key request: {error}.",
            fix='Send {"label": ..., "role": ...}, and where wanted models, expires_in_days, requests_per_second.',
        ) from error
    return access.CreateKey(**msgspec.structs.asdict(wanted))


def write_created_key(result: access.CreatedKey, request: Request) -> Answer:
    return Answer(
        status=201,
        body=msgspec.json.encode(views.created_key_document(result)),
        headers=(*answer_headers(request), ("Cache-Control", "no-store")),
    )


def write_keys(result: tuple[KeyRecord, ...], request: Request) -> Answer:
    return json_answer(views.keys_document(result), request)


def read_revoke_key(request: Request) -> access.RevokeKey:
    """A DELETE without a body needs no content type: a browser asks this server before it sends one across sites."""
    if request.body:
        demand_json(request)
    return access.RevokeKey(id=request.path_params["id"])


def write_key(result: KeyRecord, request: Request) -> Answer:
    return json_answer(views.key_document(result), request)


def read_audit(request: Request) -> access.ReadAudit:
    limit = request.query_value("limit")
    if limit is None:
        return access.ReadAudit()
    if not (limit.isascii() and limit.isdigit() and 0 < len(limit) <= 9):
        raise RequestError(
            Code.INVALID_INPUT,
            "limit must be a whole number.",
            fix="Send for example ?limit=100, or leave it out.",
        )
    return access.ReadAudit(limit=int(limit))


def write_audit(result: tuple[AuditLine, ...], request: Request) -> Answer:
    return json_answer(views.audit_document(result), request)


# The rows


def model_endpoints() -> tuple[Endpoint, ...]:
    listing = Endpoint(
        route=get(MODELS, models.LIST.name, always(models.ListModels()), write_models),
        summary="The models that the caller may see, with their versions and states.",
        gives=ModelsDocument,
    )
    ones = (
        Endpoint(
            route=get(MODELS + place, models.GET.name, read_model, write_model),
            summary="All there is to tell about it: states, replicas, signatures, the reason of a failure.",
            gives=ModelDocument,
        )
        for place in PLACES
    )
    documents = (
        Endpoint(
            route=get(f"{MODELS}{place}/openapi.json", models.GET.name, read_model, write_model_openapi),
            summary="An OpenAPI 3.1 document of its prediction addresses.",
        )
        for place in PLACES
    )
    return (listing, *ones, *documents)


def health_endpoints() -> tuple[Endpoint, ...]:
    read = always(server.GetHealth())
    live = (
        Endpoint(
            route=get(path, server.LIVE.name, read, write_live),
            summary="200 while the server runs.",
            gives=LiveDocument,
        )
        for path in ("/health/live", "/livez", "/healthz")
    )
    ready = (
        Endpoint(
            route=get(path, server.READY.name, read, write_ready),
            summary="200 when every wanted model can answer; 503 with reasons otherwise.",
            gives=ReadyDocument,
        )
        for path in ("/health/ready", "/readyz")
    )
    metrics = Endpoint(
        route=get("/metrics", server.METRICS.name, always(server.GetMetrics()), write_metrics),
        summary="Counters and gauges in the Prometheus text format.",
        content_type=METRICS_CONTENT_TYPE,
    )
    return (*live, *ready, metrics)


def access_endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            route=get(KEYS, access.KEYS_LIST.name, always(access.ListKeys()), write_keys),
            summary="The keys: id, role, scope, expiry; never the key itself.",
            gives=KeysDocument,
        ),
        Endpoint(
            route=Route(
                methods=("POST",),
                path=KEYS,
                operation=access.KEYS_CREATE.name,
                read=read_create_key,
                write=write_created_key,
            ),
            summary="Make a key; it is shown in this answer only.",
            status=201,
            takes=KeyRequest,
            gives=CreatedKeyDocument,
        ),
        Endpoint(
            route=Route(
                methods=("DELETE",),
                path=f"{KEYS}/{{id}}",
                operation=access.KEYS_REVOKE.name,
                read=read_revoke_key,
                write=write_key,
            ),
            summary="Make a key invalid at once, everywhere.",
            gives=KeyDocument,
        ),
        Endpoint(
            route=get(AUDIT, access.AUDIT_READ.name, read_audit, write_audit),
            summary="The newest lines of the audit log, newest first; `?limit=` says how many.",
            gives=AuditDocument,
        ),
    )
