"""Which form of answer a caller asks for, and whether the model can give it."""

from __future__ import annotations

import enum
import importlib.util
from functools import cache

from salver.errors import Code, RequestError
from salver.serving.payload import media
from salver.types import Signature


class AnswerKind(enum.Enum):
    """The forms of an answer; the value is the content type."""

    JSON = "application/json"
    RAW = "application/octet-stream"
    NPY = "application/x-npy"
    NPZ = "application/x-npz"
    JSON_LINES = "application/x-ndjson"
    CSV = "text/csv"
    ARROW = "application/vnd.apache.arrow.stream"
    ARROW_FILE = "application/vnd.apache.arrow.file"
    PARQUET = "application/vnd.apache.parquet"
    MESSAGE_PACK = "application/msgpack"
    TEXT = "text/plain"
    IMAGE = "image/*"
    EVENTS = "text/event-stream"
    """An event for each part of the answer, as it comes."""


ONE_OUTPUT = frozenset({AnswerKind.RAW, AnswerKind.NPY, AnswerKind.TEXT, AnswerKind.IMAGE})
"""Forms that hold one output and no names."""
NUMBERS_ONLY = frozenset({AnswerKind.NPY, AnswerKind.NPZ})
BYTES_ONLY = frozenset({AnswerKind.TEXT, AnswerKind.IMAGE})
NEED_PYARROW = frozenset({AnswerKind.ARROW, AnswerKind.ARROW_FILE, AnswerKind.PARQUET})

_USUAL = {
    b"application/json": AnswerKind.JSON,
    b"application/octet-stream": AnswerKind.RAW,
    b"application/x-npy": AnswerKind.NPY,
}
_BY_TYPE = {
    **{kind.value: kind for kind in AnswerKind},
    **dict.fromkeys(media.JSON_LINES, AnswerKind.JSON_LINES),
    **dict.fromkeys(media.NPZ, AnswerKind.NPZ),
    **dict.fromkeys(media.PARQUET, AnswerKind.PARQUET),
    **dict.fromkeys(media.MESSAGE_PACK, AnswerKind.MESSAGE_PACK),
    "application/npy": AnswerKind.NPY,
    "*/*": AnswerKind.JSON,
    "application/*": AnswerKind.JSON,
}


def answer_kind(accept: bytes, signature: Signature) -> AnswerKind:
    """The form that the header Accept prefers among those that the model can give; JSON where it names none of ours.

    Raises RequestError(NOT_ACCEPTABLE), before the model runs, when it names some and the model can give none of them.
    """
    wanted = [_USUAL[accept]] if accept in _USUAL else wanted_kinds(accept)
    reasons = [(kind, why_not(kind, signature)) for kind in wanted]
    found = next((kind for kind, reason in reasons if not reason), None)
    if found is not None:
        return found
    if not reasons:
        return AnswerKind.JSON
    kind, reason = reasons[0]
    raise RequestError(Code.NOT_ACCEPTABLE, f"The answer cannot be {kind.value}: {reason}.", fix=FIXES.get(kind))


FIXES = dict.fromkeys(NEED_PYARROW, "Send `Accept: application/json`, or install pyarrow: pip install 'salver[arrow]'.")


def wanted_kinds(accept: bytes) -> list[AnswerKind]:
    """Our forms that the header names, the preferred one first; what it weighs with 0 is left out."""
    found: list[tuple[float, AnswerKind]] = []
    for item in accept.decode("latin-1").lower().split(","):
        name = media.bare_media_type(item)
        kind = AnswerKind.IMAGE if name.startswith("image/") else _BY_TYPE.get(name)
        weight = weight_of(media.parameter(item, "q"))
        if kind is not None and weight > 0.0:
            found.append((weight, kind))
    return [kind for _, kind in sorted(found, key=lambda pair: -pair[0])]


def weight_of(text: str) -> float:
    """A quality of RFC 9110; 1 where there is none that is one."""
    try:
        weight = float(text)
    except ValueError:
        return 1.0
    return weight if 0.0 <= weight <= 1.0 else 1.0


def why_not(kind: AnswerKind, signature: Signature) -> str:
    """Why the model's outputs cannot take a form; empty when they can."""
    outputs = signature.outputs
    if kind in ONE_OUTPUT and len(outputs) != 1:
        return (
            f"the model has {len(outputs)} outputs ({', '.join(spec.name for spec in outputs)}), and it holds only one"
        )
    for spec in outputs:
        if kind in NUMBERS_ONLY and spec.datatype in ("BYTES", "BF16"):
            return f"the output '{spec.name}' is of datatype {spec.datatype}, which it cannot hold"
        if kind in BYTES_ONLY and spec.datatype != "BYTES":
            return f"the output '{spec.name}' is of datatype {spec.datatype}, and not BYTES"
    return "pyarrow is not installed beside this server" if kind in NEED_PYARROW and not has_pyarrow() else ""


@cache
def has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None
