"""Bodies of the native protocol become requests, by their content type."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from salver.errors import Code, RequestError
from salver.operations.base import TakesLong
from salver.serving.payload import as_bytes, bare_media_type, batch_group, body_to_inputs, is_json, media
from salver.serving.payload.documents import RECORDS, SPLIT
from salver.serving.payload.media import takes_long
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.raw import as_view
from salver.serving.payload.values import count_rows, fitted_shape, refused
from salver.types import DEFAULT_SIGNATURE, Body, InferRequest, Part, PayloadKind, Signature, Tensor, VersionInfo
from salver.wire.forms import parse_multipart
from salver.wire.headers import for_model
from salver.wire.jsonbody import unpacked
from salver.wire.native.accept import AnswerKind, answer_kind, wanted_kinds
from salver.wire.native.fast import Decoded, Reader, json_reader, raw_reader
from salver_worker.frames import DATATYPE_SIZES

RAW = "application/octet-stream"
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})
"""How clients write it; any other spelling takes the general way."""
FORM = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
BODY_GROUP = ("body",)

UNDERSTOOD = {
    RAW: "raw",
    "application/x-npy": "npy",
    "application/npy": "npy",
    "text/csv": "csv",
    "text/plain": "text",
    FORM: "form",
    **dict.fromkeys(media.JSON_LINES, "ndjson"),
    **dict.fromkeys(media.NPZ, "npz"),
    **dict.fromkeys(media.ARROW, "arrow"),
    **dict.fromkeys(media.PARQUET, "parquet"),
    **dict.fromkeys(media.MESSAGE_PACK, "msgpack"),
}
"""What the answer's header Salver-Understood says of a content type; `image` for all images, `audio` for all sounds,
`bytes` for any other."""


class NativeRequest(InferRequest, gc=False):
    """A prediction of this wire: also how its body was understood, and in which form to answer."""

    understood: str = ""
    answer: AnswerKind = AnswerKind.JSON


Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
Sent: TypeAlias = tuple[bytes | None, bytes | None, bytes | None, bytes | None]
"""Content-Type, Accept, Salver-Shape and Content-Encoding; None where a request has no such header."""


def read_headers(headers: Headers) -> Sent:
    """The four headers that matter here, in one pass; of a repeated header the first."""
    content_type = accept = shape = encoding = None
    for name, value in headers:
        size = len(name)
        if size == 12:
            lower = name.lower()
            if lower == b"content-type":
                content_type = content_type or value
            elif lower == b"salver-shape":
                shape = shape or value
        elif size == 6:
            if name.lower() == b"accept":
                accept = accept or value
        elif size == 16 and name.lower() == b"content-encoding":
            encoding = encoding or value
    return content_type, accept, shape, encoding


class Plan:
    """What is worked out once for a version and one of its signatures."""

    __slots__ = ("_group", "_is_alone", "_max_body_bytes", "_name", "_policy", "_readers", "_signature", "version")

    def __init__(
        self,
        version: VersionInfo,
        signature: Signature,
        name: str,
        max_body_bytes: int,
        policy: Policy = STRICT,
    ) -> None:
        self._policy = msgspec.structs.replace(policy, max_bytes=max_body_bytes)
        self.version = version
        self._signature = signature
        self._name = name
        self._max_body_bytes = max_body_bytes
        self._is_alone = name in version.unbatched
        self._readers = quick_readers(signature) if version.batches(name) else {}
        samples = {spec.name: Tensor(spec.datatype, spec.shape, b"") for spec in signature.inputs}
        self._group = batch_group(name, samples)
        """The group of what the quick readers make: rows of fixed shapes."""

    def decode(self, body: Any, headers: Headers) -> NativeRequest:
        """The body as a request. Raises RequestError, or TakesLong."""
        content_type, accept, shape, encoding = read_headers(headers)
        answer = AnswerKind.JSON
        if accept is not None and accept != b"*/*":
            answer = answer_kind(accept, self._signature)
        if encoding is not None:
            body = unpacked(as_view(body), encoding, self._max_body_bytes)
        reader = self._readers.get(content_type) if shape is None else None
        decoded = None if reader is None else reader.read(body)
        if decoded is not None:
            inputs, rows, understood = decoded
            return self._request(inputs, rows, self._group, understood, answer)
        if content_type is not None and takes_long(bare_media_type(content_type.decode("latin-1")), len(body)):
            raise TakesLong(lambda: self._read(body, content_type, shape, answer))
        return self._read(body, content_type, shape, answer)

    def _read(self, body: Any, content_type: bytes | None, shape: bytes | None, answer: AnswerKind) -> NativeRequest:
        """The general way, by the content type."""
        inputs, rows, understood = decode_body(body, content_type, shape, self._signature, self._policy)
        if self._is_alone:
            return self._request(inputs, 1, object(), understood, answer)
        return self._request(inputs, rows, batch_group(self._name, inputs), understood, answer)

    def _request(
        self, inputs: dict[str, Tensor], rows: int, group: Any, understood: str, answer: AnswerKind
    ) -> NativeRequest:
        request = NativeRequest(self.version, self._name, inputs, None, rows, group, None, understood, answer)
        if answer is AnswerKind.EVENTS:
            request.want_parts()
        return request

    def quick_reader(self, headers: Headers) -> Reader | None:
        """The short way of all bodies that come with these headers and want JSON for an answer; None without one."""
        content_type, accept, shape, encoding = read_headers(headers)
        if accept not in (None, b"*/*") or shape is not None or encoding is not None:
            return None
        return self._readers.get(content_type)

    def decode_all(self, reader: Reader, bodies: Sequence[Any]) -> tuple[NativeRequest, list[int]] | None:
        """The bodies as one request, and the rows of each; None when one of them needs the general way."""
        together = reader.read_all(bodies)
        if together is None:
            return None
        inputs, rows, understood = together
        total = sum(rows)
        return NativeRequest(self.version, self._name, inputs, None, total, self._group, None, understood), rows


def quick_readers(signature: Signature) -> dict[bytes | None, Reader]:
    """The short ways that the signature allows, by content type."""
    raw, json = raw_reader(signature), json_reader(signature)
    readers: dict[bytes | None, Reader] = {} if json is None else dict.fromkeys(JSON_TYPES, json)
    if raw is not None:
        readers[b"application/octet-stream"] = raw
    return readers


class BodyPlan:
    """The plan of a version whose own code takes bodies: they are passed on with their type and headers."""

    __slots__ = ("_max_body_bytes", "_name", "version")

    def __init__(self, version: VersionInfo, name: str, max_body_bytes: int) -> None:
        self.version = version
        self._name = name
        self._max_body_bytes = max_body_bytes

    def decode(self, body: Any, headers: Headers) -> NativeRequest:
        """The body as a request. Raises RequestError."""
        sent_type, accept, _, encoding = read_headers(headers)
        if encoding is not None:
            body = unpacked(as_view(body), encoding, self._max_body_bytes)
        content_type = (sent_type or b"").decode("latin-1")
        media_type = bare_media_type(content_type)
        parts = form_parts(body, content_type) if media_type == FORM else (Part("body", media_type, body),)
        sent = Body(parts, for_model(headers))
        request = NativeRequest(self.version, self._name, None, sent, 1, BODY_GROUP, None, "body")
        if accept is not None and AnswerKind.EVENTS in wanted_kinds(accept)[:1]:
            request.answer = AnswerKind.EVENTS
            request.want_parts()
        return request


def plan_for(
    version: VersionInfo, signature_name: str, max_body_bytes: int, policy: Policy = STRICT
) -> Plan | BodyPlan:
    """Raises RequestError(SIGNATURE_NOT_FOUND)."""
    name = signature_name or DEFAULT_SIGNATURE
    signature = version.signature(name)
    if signature is None and (signature_name or version.payload is PayloadKind.TENSORS):
        listed = ", ".join(sorted(version.signatures)) or "none"
        raise RequestError(
            Code.SIGNATURE_NOT_FOUND,
            f"The model has no signature {name!r}; it has: {listed}.",
            fix="Name one of them in the address: `?signature=...`.",
        )
    if signature is None or version.payload is PayloadKind.BODY:
        return BodyPlan(version, name, max_body_bytes)
    return Plan(version, signature, name, max_body_bytes, policy)


def decode_body(
    body: Any, sent_type: bytes | None, shape: bytes | None, signature: Signature, policy: Policy = STRICT
) -> Decoded:
    """Any body by its content type. Raises RequestError(INVALID_INPUT | UNSUPPORTED_MEDIA_TYPE | PAYLOAD_TOO_LARGE)."""
    content_type = (sent_type or b"").decode("latin-1")
    media_type = bare_media_type(content_type)
    if is_json(media_type) or is_json_in_disguise(media_type, body):
        sent_as = content_type if is_json(media_type) else "application/json"
        inputs, rows = body_to_inputs((Part("body", sent_as, body),), signature, policy)
        return inputs, rows, json_form(body)
    if shape is not None:
        return shaped_inputs(body, shape, media_type, signature)
    parts = form_parts(body, content_type) if media_type == FORM else (Part("body", content_type, body),)
    inputs, rows = body_to_inputs(parts, signature, policy)
    return inputs, rows, understood_as(media_type)


def understood_as(media_type: str) -> str:
    if media_type.startswith(("image/", "audio/")):
        return media_type[:5]
    return UNDERSTOOD.get(media_type or RAW, "bytes")


def is_json_in_disguise(media_type: str, body: Any) -> bool:
    """`curl -d '[[1, 2]]'` says form and means JSON; no form begins like that."""
    return media_type == URLENCODED and bytes(as_view(body)[:64]).lstrip()[:1] in (b"[", b"{")


_FORM_AT_ONCE = re.compile(rb'\s*(?:(?P<rows>\[)|\{(?:\s*"(?P<form>inputs|instances)"\s*:)?)')


FORMS = ("inputs", "instances", SPLIT, RECORDS)


def json_form(body: Any) -> str:
    """The form of a JSON body that has been read: inputs, instances, rows, names, a table, or value."""
    view = as_view(body)
    match = _FORM_AT_ONCE.match(view)
    if match is None:
        return "value"
    if match["form"]:
        return match["form"].decode()
    if match["rows"]:
        return "rows"
    keys = msgspec.json.decode(view, type=dict[str, msgspec.Raw])
    return next((form for form in FORMS if form in keys), "names")


def shaped_inputs(body: Any, header: bytes, media_type: str, signature: Signature) -> Decoded:
    """Raw values of the only input, in the shape that the header Salver-Shape gives."""
    if media_type not in ("", RAW) or len(signature.inputs) != 1 or signature.inputs[0].datatype == "BYTES":
        raise RequestError(
            Code.INVALID_INPUT,
            "Salver-Shape goes with application/octet-stream and a model with one input of numbers.",
            fix="Leave the header out.",
        )
    (spec,) = signature.inputs
    if re.fullmatch(rb"\s*\d{1,12}\s*(?:,\s*\d{1,12}\s*){0,31}", header) is None:
        raise RequestError(
            Code.INVALID_INPUT, "Salver-Shape must be whole numbers with commas.", fix="For example 2,3,224,224."
        )
    shape = tuple(map(int, header.split(b",")))
    fitted = fitted_shape(spec, shape)
    announced = math.prod(shape) * DATATYPE_SIZES[spec.datatype]
    if announced != len(body):
        raise refused(spec, f"of shape {list(shape)} is {announced} bytes long as {spec.datatype}, not {len(body)}")
    inputs = {spec.name: Tensor(spec.datatype, fitted, body)}
    return inputs, count_rows(inputs, signature), "raw"


def form_parts(body: Any, content_type: str) -> tuple[Part, ...]:
    """The fields of a form; a field without a type is text, unless it came as a file."""
    fields = {field.name: field for field in parse_multipart(as_bytes(body), content_type)}
    return tuple(
        Part(field.name, field.content_type or ("" if field.is_file else "text/plain"), field.data)
        for field in fields.values()
    )
