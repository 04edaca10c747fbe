"""The OpenAPI document of one model: its prediction addresses over each protocol, typed by its signature."""

from __future__ import annotations

import json
import mimetypes
import shlex

import msgspec

from salver.errors import Code, RequestError
from salver.operations.base import Answer, Request
from salver.serving.payload import media
from salver.serving.payload.policy import DATES, MISSING
from salver.types import ModelStatus, PayloadKind, Signature, VersionInfo, VersionStatus
from salver.wire.native.accept import AnswerKind, why_not
from salver.wire.native.addresses import model_path
from salver.wire.native.openapi.other_wires import mms_path, openinference_path, tfserving_path
from salver.wire.native.openapi.parts import BINARY, Place, error_schema, json_response, operation, wrapped
from salver.wire.native.openapi.schemas import (
    BASE64,
    Schema,
    example_file,
    example_inputs,
    has_rows,
    inputs_schema,
    named_schema,
    ranking_schema,
    rows_schema,
)


def write_model(status: ModelStatus, request: Request) -> Answer:
    """The answer of the openapi.json addresses. Raises RequestError(MODEL_NOT_READY) before the signature is known."""
    version, label = request.path_params.get("version"), request.path_params.get("label")
    place = Place(model=status.name, version=None if version is None else int(version), label=label)
    info = described_version(status, place)
    document = model_document(info, place, request.base_url)
    return Answer(status=200, body=msgspec.json.encode(document), headers=(("X-Request-Id", request.request_id),))


def described_version(status: ModelStatus, place: Place) -> VersionInfo:
    """The version that the place names, as it was loaded."""
    number = place.version
    if number is None:
        number = status.default_version if place.label is None else status.labels.get(place.label)
    found: VersionStatus | None = next((entry for entry in status.versions if entry.id.version == number), None)
    if found is None or found.info is None:
        raise RequestError(
            Code.MODEL_NOT_READY, f"The signature of {status.name!r} is not known before it has been loaded."
        )
    return found.info


def model_document(info: VersionInfo, place: Place, base_url: str) -> Schema:
    """The whole document."""
    signature = info.signature() or next(iter(info.signatures.values()), Signature(inputs=(), outputs=()))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": place.model,
            "version": str(info.id.version),
            "description": info.description or f"Predictions of the model {place.model}.",
        },
        "servers": [{"url": base_url or "/"}],
        "security": [{}, {"key": []}],
        "tags": [{"name": "predict"}],
        "paths": {
            **native_path(info, signature, place, base_url),
            **tfserving_path(info, signature, place),
            **mms_path(place, native_request(info, signature)),
            **openinference_path(info, signature, place),
        },
        "components": {
            "schemas": {"Base64": BASE64, "Error": error_schema()},
            "responses": {"Error": json_response("The request failed.", {"$ref": "#/components/schemas/Error"})},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def native_path(info: VersionInfo, signature: Signature, place: Place, base_url: str) -> Schema:
    path = model_path(place.model, place.version, place.label) + "/predict"
    item = operation(
        "predict",
        "Predict over Salver's own protocol.",
        native_request(info, signature),
        native_response(info, signature),
        {"$ref": "#/components/responses/Error"},
        f"For example:\n\n```sh\n{curl(info, signature, base_url + path)}\n```",
    )
    item["post"]["parameters"] = native_parameters(info)
    return {path: item}


def native_parameters(info: VersionInfo) -> list[Schema]:
    return [
        {
            "name": "signature",
            "in": "query",
            "description": "Another signature than the default one.",
            "schema": {"type": "string", "enum": sorted(info.signatures)},
        },
        {
            "name": "missing",
            "in": "query",
            "description": "Whether nulls are refused or, where fractions are taken, NaN.",
            "schema": {"type": "string", "enum": list(MISSING)},
        },
        {
            "name": "dates",
            "in": "query",
            "description": "The unit of dates where whole numbers are taken.",
            "schema": {"type": "string", "enum": list(DATES)},
        },
        {
            "name": "Salver-Deadline-Ms",
            "in": "header",
            "description": "Time that the answer may take, in milliseconds.",
            "schema": {"type": "number", "exclusiveMinimum": 0, "maximum": 3_600_000},
        },
    ]


def native_request(info: VersionInfo, signature: Signature) -> Schema:
    """The content types that the model takes, each with its schema."""
    if info.payload is PayloadKind.BODY:
        return {"*/*": {}}
    content: Schema = {"application/json": native_json(info, signature)}
    content |= TABLES
    if len(signature.inputs) == 1:
        (spec,) = signature.inputs
        if spec.datatype == "BYTES":
            content |= {kind: {"schema": BINARY} for kind in ("image/*", "audio/*")}
            content["text/plain"] = {"schema": {"type": "string"}}
        else:
            content["application/x-npy"] = {"schema": BINARY}
        content["application/octet-stream"] = {"schema": BINARY}
    fields: Schema = {spec.name: {} for spec in signature.inputs}
    content["multipart/form-data"] = {
        "schema": {"type": "object", "properties": fields, "required": list(fields)},
    }
    return content


TEXT: Schema = {"type": "string"}
TEXTS = frozenset({"text/csv", "text/plain", "application/x-ndjson"})
TABLES: Schema = {
    kind: {"schema": TEXT if kind in TEXTS else BINARY}
    for kind in (
        media.CSV,
        media.JSON_LINES[0],
        *media.ARROW,
        media.PARQUET[0],
        media.MESSAGE_PACK[0],
        media.NPZ[0],
    )
}


def native_json(info: VersionInfo, signature: Signature) -> Schema:
    forms = [wrapped("inputs", inputs_schema(signature))]
    if has_rows(signature):
        rows = rows_schema(signature)
        forms += [wrapped("instances", rows), rows]
    media: Schema = {"schema": {"anyOf": forms}}
    values = example_inputs(signature, info.example)
    if values is not None:
        media["examples"] = {"inputs": {"summary": "Values by name.", "value": {"inputs": values}}}
    return media


EVENTS: Schema = {"text/event-stream": {"schema": {"type": "string", "description": "An event for each part."}}}


def native_response(info: VersionInfo, signature: Signature) -> Schema:
    if info.payload is PayloadKind.BODY:
        content: Schema = {"*/*": {}, **EVENTS}
        return {"description": "What the model's own code answers.", "content": content}
    properties: Schema = {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "outputs": named_schema(signature.outputs, is_output=True),
    }
    if signature.ranking is not None:
        properties["ranking"] = ranking_schema()
    response = json_response(
        "The model's outputs by name.",
        {"type": "object", "properties": properties, "required": list(properties)},
    )
    kept = (AnswerKind.JSON, AnswerKind.EVENTS)
    wanted = [kind for kind in AnswerKind if kind not in kept and not why_not(kind, signature)]
    response["content"] |= {kind.value: {"schema": TEXT if kind.value in TEXTS else BINARY} for kind in wanted}
    response["content"] |= EVENTS
    return response


def curl(info: VersionInfo, signature: Signature, url: str) -> str:
    """A command that predicts when pasted into a shell."""
    command = ["curl", url]
    file = example_file(info.example)
    values = None if file is not None else example_inputs(signature, info.example)
    if values is not None and info.payload is PayloadKind.TENSORS:
        body = json.dumps({"inputs": values})
        return shlex.join([*command, "-H", "Content-Type: application/json", "--data", body])
    name = file or "request.bin"
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return shlex.join([*command, "-H", f"Content-Type: {content_type}", "--data-binary", f"@{name}"])
