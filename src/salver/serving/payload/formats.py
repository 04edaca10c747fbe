"""The formats that hold all inputs of a signature in one body, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from salver.serving.payload import media
from salver.serving.payload.arrow import arrow_to_columns
from salver.serving.payload.columns import columns_to_inputs
from salver.serving.payload.csv_values import csv_to_columns
from salver.serving.payload.documents import FRAMES, document_to_inputs
from salver.serving.payload.json_lines import json_lines_to_inputs
from salver.serving.payload.json_values import parse_json
from salver.serving.payload.message_pack import message_pack_to_inputs
from salver.serving.payload.npz import npz_to_inputs
from salver.serving.payload.parquet import parquet_to_columns
from salver.serving.payload.policy import Policy
from salver.serving.payload.raw import as_bytes, as_view
from salver.types import Part, Signature, Tensor

Read: TypeAlias = Callable[[Part, Signature, Policy], dict[str, Tensor]]


def _json(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    document: Any = parse_json(as_view(part.data))
    frame = FRAMES.get(media.parameter(part.content_type, "format"))
    return document_to_inputs(document if frame is None else {frame: document}, signature, policy)


def _json_lines(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return json_lines_to_inputs(as_bytes(part.data), signature, policy)


def _csv(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return columns_to_inputs(csv_to_columns(as_bytes(part.data), signature, part.content_type), signature, policy)


def _npz(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return npz_to_inputs(as_bytes(part.data), signature, policy)


def _arrow(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return columns_to_inputs(arrow_to_columns(as_view(part.data), policy), signature, policy)


def _parquet(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return columns_to_inputs(parquet_to_columns(as_view(part.data), policy), signature, policy)


def _message_pack(part: Part, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    return message_pack_to_inputs(as_view(part.data), signature, policy)


READERS: Mapping[str, Read] = {
    media.JSON: _json,
    media.CSV: _csv,
    **dict.fromkeys(media.JSON_LINES, _json_lines),
    **dict.fromkeys(media.NPZ, _npz),
    **dict.fromkeys(media.ARROW, _arrow),
    **dict.fromkeys(media.PARQUET, _parquet),
    **dict.fromkeys(media.MESSAGE_PACK, _message_pack),
}


def reader_of(part: Part, signature: Signature) -> Read | None:
    """How the part is read as a whole; None when it is the value of one input.

    A single input of BYTES takes CSV as it is, as one element, unless its content type says how its lines are made.
    """
    kind = media.bare_media_type(part.content_type)
    if media.is_json(kind):
        return _json
    if kind == media.CSV and is_one_of_bytes(signature) and kind == part.content_type.strip().lower():
        return None
    return READERS.get(kind)


def is_one_of_bytes(signature: Signature) -> bool:
    return len(signature.inputs) == 1 and signature.inputs[0].datatype == "BYTES"
