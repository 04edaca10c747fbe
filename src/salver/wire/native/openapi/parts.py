"""Pieces that every document is made of."""

from __future__ import annotations

import msgspec

from salver.errors import Code
from salver.wire.native.openapi.schemas import Schema

ERROR_STATUSES = ("400", "401", "403", "404", "413", "415", "429", "500", "503", "504")
BINARY: Schema = {"type": "string", "contentMediaType": "application/octet-stream"}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What the document is about: a model's default version, one of its versions, or one of its labels."""

    model: str
    version: int | None = None
    label: str | None = None


def error_schema() -> Schema:
    fields = ("message", "fix", "request_id")
    detail: Schema = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "enum": [code.value for code in Code]},
            **{name: {"type": "string"} for name in fields},
        },
        "required": ["code", *fields],
    }
    return {"type": "object", "properties": {"error": detail}, "required": ["error"]}


def json_response(description: str, schema: Schema) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def operation(name: str, summary: str, request: Schema, response: Schema, errors: Schema, description: str) -> Schema:
    """A path item with the one POST that predicts."""
    responses = {"200": response, **dict.fromkeys(ERROR_STATUSES, errors)}
    return {
        "post": {
            "operationId": name,
            "tags": ["predict"],
            "summary": summary,
            "description": description,
            "requestBody": {"required": True, "content": request},
            "responses": responses,
        }
    }


def wrapped(key: str, schema: Schema) -> Schema:
    return {"type": "object", "properties": {key: schema}, "required": [key]}
