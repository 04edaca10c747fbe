"""The OpenAPI document of the server: every address of this wire, with the types of its documents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from salver.wire.native.documents import ErrorDocument
from salver.wire.native.endpoint import Endpoint
from salver.wire.native.home import PREDICT_ADDRESSES
from salver.wire.native.openapi.parts import BINARY, ERROR_STATUSES, json_response
from salver.wire.native.openapi.schemas import Schema

REFERENCE = "#/components/schemas/{name}"


def server_openapi(endpoints: Sequence[Endpoint], version: str, base_url: str) -> Schema:
    """The whole document. Prediction addresses are untyped here: each model has a typed document of its own."""
    paths: dict[str, Schema] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.route.path, {})[endpoint.method.lower()] = endpoint_operation(endpoint)
    for _, path, summary in PREDICT_ADDRESSES["native"]:
        paths[path] = {"post": predict_operation(path, summary)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Salver", "version": version, "description": "Serves models over HTTP."},
        "servers": [{"url": base_url or "/"}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": document_schemas(endpoints),
            "responses": {"Error": json_response("The request failed.", reference(ErrorDocument))},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def endpoint_operation(endpoint: Endpoint) -> Schema:
    path = endpoint.route.path
    schema: Schema = reference(endpoint.gives) if endpoint.gives is not None else {}
    operation: Schema = {
        "operationId": operation_id(endpoint.method, path),
        "summary": endpoint.summary,
        "parameters": [*path_parameters(path), *map(query_parameter, endpoint.query)],
        "responses": {
            str(endpoint.status): {"description": "Done.", "content": {endpoint.content_type: {"schema": schema}}},
            "default": {"$ref": "#/components/responses/Error"},
        },
    }
    if endpoint.takes is not None:
        content = {"application/json": {"schema": reference(endpoint.takes)}}
        operation["requestBody"] = {"required": True, "content": content}
    if endpoint.route.takes_upload:
        types = ("application/octet-stream", "application/zip", "application/x-tar", "application/gzip")
        operation["requestBody"] = {"required": False, "content": {kind: {"schema": BINARY} for kind in types}}
    return operation


def predict_operation(path: str, summary: str) -> Schema:
    content: Schema = {"application/json": {}, "application/octet-stream": {"schema": BINARY}, "*/*": {}}
    errors = {"$ref": "#/components/responses/Error"}
    return {
        "operationId": operation_id("POST", path),
        "summary": f"{summary} The model's own openapi.json has the types.",
        "parameters": path_parameters(path),
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The model's answer.", "content": {"application/json": {}, "*/*": {}}},
            **dict.fromkeys(ERROR_STATUSES, errors),
        },
    }


def operation_id(method: str, path: str) -> str:
    """A name that is unique by construction: the method and the words of the path."""
    words = re.findall(r"\w+", path) or ["home"]
    return "_".join([method.lower(), *words])


def path_parameters(path: str) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "integer" if name == "version" else "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


QUERY: dict[str, Schema] = {
    "plan": {"schema": {"type": "boolean"}, "description": "Say what would be done, and do nothing."},
    "wait": {
        "schema": {"type": "number", "minimum": 0, "maximum": 600},
        "description": "Seconds to wait until what is wanted serves or has failed.",
    },
    "revision": {
        "schema": {"type": "integer"},
        "description": "The revision that the caller has seen; with a later one the answer is CONFLICT.",
    },
    "file": {"schema": {"type": "string"}, "description": "The name of the file that is the body."},
    "from": {
        "schema": {"type": "string"},
        "description": "Instead of a body: a name in the model store, or remote:path@sha256:<digest>.",
    },
    "promote": {"schema": {"type": "boolean"}, "description": "Let the version also become the stable one."},
}
"""What stands in queries, by name."""


def query_parameter(name: str) -> Schema:
    return {"name": name, "in": "query", "required": False, **QUERY[name]}


def reference(document: type) -> Schema:
    return {"$ref": REFERENCE.format(name=document.__name__)}


def document_schemas(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """The schemas of all documents, derived from their types; of each description the first sentence."""
    used = {kind for endpoint in endpoints for kind in (endpoint.takes, endpoint.gives) if kind is not None}
    ordered = sorted(used | {ErrorDocument}, key=lambda kind: kind.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REFERENCE)
    for schema in schemas.values():
        schema["description"] = schema["description"].partition(". ")[0].rstrip(".") + "."
    return schemas
