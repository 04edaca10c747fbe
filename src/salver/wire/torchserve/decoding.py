"""Requests: what a handler gets to see of a body, and what a model that takes tensors makes of the same body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from salver.errors import Code, RequestError
from salver.operations.base import Exchange
from salver.serving.payload import as_bytes, bare_media_type, batch_group, body_to_inputs, is_json
from salver.serving.payload.raw import element_shape
from salver.types import (
    DEFAULT_SIGNATURE,
    Body,
    InferRequest,
    Part,
    PayloadKind,
    Signature,
    Tensor,
    VersionInfo,
)
from salver.wire.forms import Field, parse_multipart, parse_urlencoded
from salver.wire.headers import for_model

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
FORMS = frozenset({MULTIPART, URLENCODED})
BODY_GROUP = ("body",)


class Plan(msgspec.Struct, frozen=True):
    """What has been worked out for one version.

    `signature` is None where a handler takes bodies. `element` is there where any body is one BYTES element: the only
    input's name, the tensor's shape and the batch group.
    """

    version: VersionInfo
    signature: Signature | None
    element: tuple[str, tuple[int, ...], tuple[Any, ...]] | None = None


def plan_for(version: VersionInfo) -> Plan:
    """Raises RequestError(SIGNATURE_NOT_FOUND)."""
    if version.payload is PayloadKind.BODY:
        return Plan(version, None)
    signature = version.signature()
    if signature is None:
        names = ", ".join(sorted(version.signatures))
        raise RequestError(
            Code.SIGNATURE_NOT_FOUND,
            f"This protocol can only ask for the signature '{DEFAULT_SIGNATURE}'; the model has {names}.",
            fix="Ask over a protocol that names signatures, such as TensorFlow Serving's.",
        )
    if len(signature.inputs) == 1 and signature.inputs[0].datatype == "BYTES":
        spec = signature.inputs[0]
        shape = element_shape(spec)
        if shape is not None:
            return Plan(version, signature, (spec.name, shape, (DEFAULT_SIGNATURE, (spec.name, "BYTES", shape[1:]))))
    return Plan(version, signature)


NO_HEADERS: Mapping[str, str] = {}


def decode(exchange: Exchange, plan: Plan, query: bytes, told: Mapping[str, str] = NO_HEADERS) -> InferRequest:
    """The request for the version that the plan is of; `query` is what becomes inputs of a handler, b"" for nothing.

    `told` are headers that a handler finds besides the client's.
    """
    content_type = (exchange.header(b"content-type") or b"").decode("latin-1")
    media_type = bare_media_type(content_type)
    if plan.signature is None:
        return body_request(exchange, plan.version, content_type, media_type, query, told)
    if plan.element is not None and media_type not in FORMS and not is_json(media_type):
        name, shape, group = plan.element
        tensor = Tensor("BYTES", shape, [demand_body(exchange)])
        return InferRequest(plan.version, DEFAULT_SIGNATURE, {name: tensor}, None, 1, group)
    parts = tensor_parts(exchange, content_type, media_type)
    inputs, rows = body_to_inputs(parts, plan.signature)
    return InferRequest(plan.version, DEFAULT_SIGNATURE, inputs, None, rows, batch_group(DEFAULT_SIGNATURE, inputs))


def body_request(
    exchange: Exchange,
    version: VersionInfo,
    content_type: str,
    media_type: str,
    query: bytes,
    told: Mapping[str, str] = NO_HEADERS,
) -> InferRequest:
    """One part per field, the last of a name, over the query's; any other body is a single part named ``body``."""
    parts = {field.name: handler_part(field) for field in parse_urlencoded(query)} if query else {}
    if media_type in FORMS:
        parts |= {field.name: handler_part(field) for field in parse_form(exchange, content_type, media_type)}
    else:
        parts["body"] = Part("body", media_type, exchange.body)
    body = Body(tuple(parts.values()), {**for_model(exchange.headers), **told})
    return InferRequest(version, DEFAULT_SIGNATURE, None, body, 1, BODY_GROUP)


def handler_part(field: Field) -> Part:
    """A text field has no content type for a handler; a file without one is an octet stream, as Netty has it."""
    return Part(field.name, (field.content_type or "application/octet-stream") if field.is_file else "", field.data)


def tensor_parts(exchange: Exchange, content_type: str, media_type: str) -> tuple[Part, ...]:
    """The parts for a model that takes tensors; the text of a form field is text."""
    if media_type not in FORMS:
        return (Part("body", media_type, exchange.body if len(exchange.body) else demand_body(exchange)),)
    if media_type == URLENCODED and as_bytes(exchange.body).lstrip()[:1] in (b"[", b"{"):
        # `curl -d '[[1, 2]]'` says form and means JSON; no input's name begins like that.
        return (Part("body", "application/json", exchange.body),)
    fields = {field.name: field for field in parse_form(exchange, content_type, media_type)}
    return tuple(
        Part(field.name, field.content_type or ("" if field.is_file else "text/plain"), field.data)
        for field in fields.values()
    )


def parse_form(exchange: Exchange, content_type: str, media_type: str) -> list[Field]:
    body = as_bytes(exchange.body)
    return parse_multipart(body, content_type) if media_type == MULTIPART else parse_urlencoded(body)


def demand_body(exchange: Exchange) -> bytes:
    data = as_bytes(exchange.body)
    if not data:
        raise RequestError(
            Code.INVALID_INPUT,
            "The request has no body.",
            fix="Send the input as the body (curl -T FILE) or as a form's field (curl -F data=@FILE).",
        )
    return data
