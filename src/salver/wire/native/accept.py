"""Which form of answer a caller asks for, and whether the model can give it."""

from __future__ import annotations

import enum

from salver.errors import Code, RequestError
from salver.types import Signature


class AnswerKind(enum.Enum):
    """The forms of an answer; the value is the content type."""

    JSON = "application/json"
    RAW = "application/octet-stream"
    NPY = "application/x-npy"
    EVENTS = "text/event-stream"
    """An event for each part of the answer, as it comes."""


_USUAL = {
    b"application/json": AnswerKind.JSON,
    b"application/octet-stream": AnswerKind.RAW,
    b"application/x-npy": AnswerKind.NPY,
}
_BY_TYPE = {kind.value: kind for kind in AnswerKind}


def wanted_kind(accept: bytes) -> AnswerKind:
    """The first form that an Accept header names; JSON where it names none of ours."""
    kind = _USUAL.get(accept)
    if kind is not None:
        return kind
    ranges = (item.partition(";")[0].strip() for item in accept.decode("latin-1").lower().split(","))
    return next((_BY_TYPE[name] for name in ranges if name in _BY_TYPE), AnswerKind.JSON)


def check_answer_kind(kind: AnswerKind, signature: Signature) -> None:
    """Raises RequestError(INVALID_INPUT), before the model runs, when its outputs cannot take this form."""
    if kind in (AnswerKind.JSON, AnswerKind.EVENTS):
        return
    if len(signature.outputs) != 1:
        names = ", ".join(spec.name for spec in signature.outputs)
        raise RequestError(
            Code.INVALID_INPUT,
            f"The model has {len(signature.outputs)} outputs ({names}); {kind.value} can hold only one.",
            fix="Send `Accept: application/json`.",
        )
    if kind is AnswerKind.NPY and signature.outputs[0].datatype in ("BYTES", "BF16"):
        raise RequestError(
            Code.INVALID_INPUT,
            f"The output is of datatype {signature.outputs[0].datatype}, which {kind.value} cannot hold.",
            fix="Send `Accept: application/json`.",
        )
