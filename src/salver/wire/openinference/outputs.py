"""Outputs to the JSON of an answer and the raw bytes behind it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import orjson
import pybase64

from salver.errors import Code, RequestError
from salver.operations.base import Answer
from salver.types import Array, InferResponse
from salver.wire.openinference.binary import LENGTH_HEADER, SIZE
from salver.wire.openinference.classification import classified
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.request import V2Request, Wish, raw_only
from salver.wire.openinference.values import BASE64, RAW_ONLY
from salver_worker.frames import NUMPY_NAMES, encode_bytes_elements

DATATYPES = {np.dtype(name): datatype for datatype, name in NUMPY_NAMES.items()}
NUMPY = orjson.OPT_SERIALIZE_NUMPY
RAW = "application/octet-stream"
Entry: TypeAlias = dict[str, Any]


def encode(response: InferResponse, request: V2Request, outputs: Mapping[str, Array]) -> Answer:
    """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT)."""
    pieces: list[bytes] = []
    entries = [_entry(wish, array, kind, pieces) for wish, array, kind in outputs_of(response, request, outputs)]
    return answer(response, request.id, entries, pieces)


def outputs_of(
    response: InferResponse, request: V2Request, outputs: Mapping[str, Array]
) -> Iterator[tuple[Wish, Array, str]]:
    """Each output that is asked for, with its datatype. Raises RequestError(OUTPUT_INVALID)."""
    wishes = request.wishes
    if wishes is None:
        wishes = tuple(Wish(name, request.is_binary) for name in outputs)
    signature = request.version.signature(request.signature_name)
    declared = {} if signature is None else {spec.name: spec.datatype for spec in signature.outputs}
    for wish in wishes:
        array = outputs.get(wish.name)
        if array is None:
            raise RequestError(Code.OUTPUT_INVALID, f"The model answered no output {shown(wish.name)!r}.")
        if wish.classes:
            labels = response.version.labels.get(wish.name, ())
            array = classified(wish, array, labels, has_rows=response.version.has_batch_dimension)
        yield wish, array, datatype_of(array, declared.get(wish.name, ""))


def answer(response: InferResponse, request_id: str, entries: list[Entry], pieces: list[bytes]) -> Answer:
    """The whole answer; with raw bytes only when an output has asked for them."""
    document: dict[str, Any] = {"id": request_id} if request_id else {}
    document["model_name"] = response.version.id.model
    document["model_version"] = str(response.version.id.version)
    document["outputs"] = entries
    text = orjson.dumps(document, None, NUMPY)
    if not any(SIZE in entry.get("parameters", ()) for entry in entries):
        return Answer(200, text)
    return Answer(200, b"".join((text, *pieces)), RAW, ((LENGTH_HEADER, str(len(text))),))


def _entry(wish: Wish, array: Array, datatype: str, pieces: list[bytes]) -> Entry:
    """One output as the JSON has it; its raw bytes go to `pieces`."""
    entry: Entry = {"name": wish.name, "datatype": datatype, "shape": array.shape}
    if wish.is_binary:
        raw = raw_bytes(array, datatype)
        pieces.append(raw)
        entry["parameters"] = {SIZE: len(raw)}
        return entry
    if wish.is_base64 and datatype == "BYTES":
        entry["parameters"] = {"content_type": BASE64}
    entry["data"] = json_values(wish, array, datatype)
    return entry


def json_values(wish: Wish, array: Array, datatype: str) -> Any:
    """The flat values of an output as the JSON encoder takes them. Raises RequestError(INVALID_INPUT)."""
    if datatype in RAW_ONLY:
        raise invalid(raw_only(datatype))
    flat = array.reshape(-1)
    if datatype != "BYTES":
        is_plain = flat.flags.c_contiguous and flat.dtype.isnative
        return flat if is_plain else np.ascontiguousarray(flat, flat.dtype.newbyteorder("="))
    if wish.is_base64:
        return [pybase64.b64encode_as_string(element) for element in flat.tolist()]
    return [_text(element, wish.name) for element in flat.tolist()]


def datatype_of(array: Array, declared: str) -> str:
    """The datatype that an output travels as. BF16, which NumPy has not, is held as float32."""
    if array.dtype.kind == "O":
        return "BYTES"
    if declared == "BF16" and array.dtype == np.float32:
        return declared
    return DATATYPES[array.dtype.newbyteorder("<")]


def raw_bytes(array: Array, datatype: str) -> bytes:
    """Row-major and little-endian; an element of BYTES has its length before it."""
    if datatype == "BYTES":
        return encode_bytes_elements(array.reshape(-1).tolist())
    if datatype == "BF16":
        return (np.ascontiguousarray(array, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _text(element: bytes, name: str) -> str:
    try:
        return str(element, "utf-8")
    except UnicodeDecodeError as error:
        raise invalid(
            f"sending bytes that are not UTF-8 via JSON is not supported. Please use the binary data format for output "
            f"{shown(name)}, or ask for it with the parameter content_type: base64"
        ) from error
