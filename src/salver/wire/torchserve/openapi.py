"""The OpenAPI 3.0.1 documents of both APIs and of one model. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from salver.types import ModelStatus, PayloadKind, Signature, TensorSpec
from salver.wire.torchserve.dialect import MMS, TORCHSERVE, Dialect
from salver.wire.torchserve.listing import default_version

ANY_BODY = {"*/*": {"schema": {"type": "string", "format": "binary"}}}

Document = dict[str, Any]


def inference_document(version: str, dialect: Dialect = MMS) -> Document:
    """The inference API."""
    model = parameter("model_name", "path", "The model's name.")
    return document(
        dialect.title,
        version,
        {
            "/": {"options": describe("apiDescription")},
            "/api-description": {"get": describe("apiDescriptionByName")},
            "/invocations": {
                "post": predict(
                    "invocations", parameter("model_name", "query", "Needed where several models are served.")
                )
            },
            "/models/{model_name}/invoke": {"post": predict("invoke", model)},
            "/ping": {"get": operation("ping", "How many of the wanted workers run.", answers("status", STATUS))},
            "/predictions/{model_name}": {
                "options": operation("modelDescription", "This model's OpenAPI document.", answers("document"), model),
                "post": predict("predictions", model),
            },
            "/{model_name}/predict": {"post": predict("predict", model) | {"deprecated": True}},
        }
        | (version_paths(model) if dialect.has_versions else {}),
    )


def version_paths(model: Document) -> Document:
    """What TorchServe has besides."""
    version = parameter("model_version", "path", "The version, as its archive calls it.")
    return {
        "/predictions/{model_name}/{model_version}": {"post": predict("version_predictions", model, version)},
        "/explanations/{model_name}": {"post": predict("explanations", model)},
        "/v1/models/{model_name}:predict": {"post": predict("kserve_predict", model)},
        "/v2/models/{model_name}/infer": {"post": predict("kserve_infer", model)},
    }


def management_document(version: str, dialect: Dialect = MMS) -> Document:
    """The management API."""
    limit = parameter("limit", "query", "At most so many models; 100 unless told.", "integer")
    token = parameter("next_page_token", "query", "The nextPageToken of the page before.")
    return document(
        dialect.title,
        version,
        {
            "/": {"options": describe("apiDescription")},
            "/api-description": {"get": describe("apiDescriptionByName")},
            "/models": {
                "get": operation("listModels", "The models, a page at a time.", answers("page", MODELS), limit, token),
                "post": operation(
                    "registerModel",
                    "Take a model of the model store, or of a named remote, into service.",
                    answers("status", STATUS),
                    parameter("url", "query", "A name in the model store, or remote:path@sha256:<digest>."),
                    parameter("model_name", "query", "The model's name; the file's unless it is told."),
                    parameter("initial_workers", "query", "How many workers to start; 0 unless told.", "integer"),
                    synchronous_parameter(),
                ),
            },
        }
        | model_management_paths(dialect),
    )


def model_management_document(model: ModelStatus, version: str) -> Document:
    """The part of the management API that is about one model. Its paths name no model, as the original's name none."""
    return document(f"RESTful Management API for: {model.name}", version, model_management_paths(TORCHSERVE))


def model_management_paths(dialect: Dialect) -> Document:
    model = parameter("model_name", "path", "The model's name.")
    return {
        "/models/{model_name}": {
            "get": operation("describeModel", "One model and its workers.", answers("model", MODEL), model),
            "put": operation(
                "setAutoScale",
                "Set how many workers the model has.",
                answers("status", STATUS),
                model,
                parameter("min_worker", "query", "The fewest workers; 1 unless told.", "integer"),
                parameter("max_worker", "query", "The most workers; min_worker unless told.", "integer"),
                synchronous_parameter(),
            ),
            "delete": operation("unregisterModel", "Delete the model.", answers("status", STATUS), model),
        }
    } | (version_management_paths(model) if dialect.has_versions else {})


def synchronous_parameter() -> Document:
    return parameter("synchronous", "query", "Whether the answer waits for the workers.", "boolean")


def version_management_paths(model: Document) -> Document:
    """What TorchServe has besides."""
    version = parameter("model_version", "path", "The version, as its archive calls it.")

    def row(id: str, summary: str) -> Document:
        return operation(id, summary, answers("status", STATUS), model, version)

    return {
        "/models/{model_name}/{model_version}": {
            "get": row("version_describeModel", "One version and its workers."),
            "put": row("version_setAutoScale", "Set how many workers the version has."),
            "delete": row("version_unregisterModel", "Delete the version."),
        },
        "/models/{model_name}/{model_version}/set-default": {
            "put": row("setDefault", "Let the version answer requests that name none.")
        },
    }


def model_document(model: ModelStatus) -> Document:
    """One model's own document. Its path is in the singular, as the original writes it; that address answers too."""
    version = default_version(model)
    info = version.info if version else None
    signature = info.signature() if info and info.payload is PayloadKind.TENSORS else None
    post = predict("predictions")
    if signature is not None:
        post["requestBody"]["content"] = {"application/json": {"schema": inputs_schema(signature)}} | ANY_BODY
    return document(
        f"RESTful API for: {model.name}",
        str(version.id.version) if version else "0",
        {f"/prediction/{quote(model.name, safe='')}": {"post": post}},
    )


def inputs_schema(signature: Signature) -> Document:
    """An object with each input's nested lists."""
    return {
        "type": "object",
        "properties": {spec.name: tensor_schema(spec) for spec in signature.inputs},
        "required": [spec.name for spec in signature.inputs],
    }


def tensor_schema(spec: TensorSpec) -> Document:
    schema: Document = {"type": json_type(spec.datatype)}
    for size in reversed(spec.shape):
        bounds = {} if size < 0 else {"minItems": size, "maxItems": size}
        schema = {"type": "array", "items": schema} | bounds
    return schema | {"description": f"{spec.datatype} {list(spec.shape)}"}


def json_type(datatype: str) -> str:
    if datatype == "BYTES":
        return "string"
    if datatype == "BOOL":
        return "boolean"
    return "integer" if "INT" in datatype else "number"


# The pieces


def document(title: str, version: str, paths: Document) -> Document:
    return {"openapi": "3.0.1", "info": {"title": title, "version": version}, "paths": paths}


def describe(id: str) -> Document:
    return operation(id, "This document.", answers("document"))


def predict(id: str, *parameters: Document) -> Document:
    found = operation(id, "Ask the model for its answer.", answers("answer", content=ANY_BODY), *parameters)
    return found | {"requestBody": {"content": ANY_BODY, "required": True}}


def operation(id: str, summary: str, responses: Document, *parameters: Document) -> Document:
    return {"operationId": id, "summary": summary, "parameters": list(parameters), "responses": responses}


def parameter(name: str, place: str, description: str, type: str = "string") -> Document:
    return {
        "in": place,
        "name": name,
        "required": place == "path",
        "description": description,
        "schema": {"type": type},
    }


def answers(what: str, schema: Document | None = None, *, content: Document | None = None) -> Document:
    """The success and, for whatever goes wrong, the one form of errors."""
    success = content or {"application/json": {"schema": schema or {"type": "object"}}}
    return {
        "200": {"description": f"The {what}.", "content": success},
        "default": {"description": "What went wrong.", "content": {"application/json": {"schema": ERROR}}},
    }


def fields(required: tuple[str, ...] = (), **properties: Document) -> Document:
    schema: Document = {"type": "object", "properties": properties}
    return schema | {"required": list(required)} if required else schema


TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
FLAG = {"type": "boolean"}
ERROR = fields(("code", "type", "message"), code=NUMBER, type=TEXT, message=TEXT)
STATUS = fields(("status",), status={"type": "string", "enum": ["Healthy", "Partial Healthy", "Unhealthy"]})
MODELS = fields(
    ("models",),
    nextPageToken=TEXT,
    models={"type": "array", "items": fields(("modelName",), modelName=TEXT, modelUrl=TEXT)},
)
WORKER = fields(id=TEXT, startTime=TEXT, status={"type": "string", "enum": ["READY", "UNLOADING"]}, gpu=FLAG)
WORKER["properties"]["memoryUsage"] = NUMBER
MODEL = fields(
    ("modelName", "workers"),
    modelName=TEXT,
    modelVersion=TEXT,
    modelUrl=TEXT,
    engine=TEXT,
    runtime=TEXT,
    minWorkers=NUMBER,
    maxWorkers=NUMBER,
    batchSize=NUMBER,
    maxBatchDelay=NUMBER,
    loadedAtStartup=FLAG,
    workers={"type": "array", "items": WORKER},
)
