"""What the parameters of a request ask of the server: how long it may take, which sequence it belongs to. Pure."""

from __future__ import annotations

from typing import Any

from salver.types import SequenceStep
from salver.wire.openinference.document import InferDocument, flag
from salver.wire.openinference.errors import invalid

MAX_ALLOWED_S = 3600.0
MAX_ID_CHARACTERS = 256
SEQUENCE = ("sequence_id", "sequence_start", "sequence_end")


def allowed_s(document: InferDocument) -> float:
    """The seconds that `timeout` gives it, which counts microseconds; 0.0 for none. Raises RequestError."""
    return min(_whole(document, "timeout") / 1e6, MAX_ALLOWED_S)


def check_priority(document: InferDocument) -> None:
    """It is passed over, as by a model that the original was given no priority levels for. Raises RequestError."""
    _whole(document, "priority")


def sequence_of(document: InferDocument) -> SequenceStep | None:
    """The step of a sequence that a request is; ids of 0 and no letters are none. Raises RequestError."""
    given = document.parameters or {}
    id = given.get("sequence_id", 0)
    if type(id) not in (int, str) or (isinstance(id, int) and id < 0):
        raise invalid("Unable to parse 'parameters': 'sequence_id' must be a whole number or a string")
    if isinstance(id, str) and len(id) > MAX_ID_CHARACTERS:
        raise invalid(f"Unable to parse 'parameters': 'sequence_id' is longer than {MAX_ID_CHARACTERS} characters")
    is_start, is_end = (flag(name, given.get(name)) for name in SEQUENCE[1:])
    return SequenceStep(id, is_start, is_end) if id else None  # type: ignore[arg-type]


def sequence_parameters(step: SequenceStep) -> dict[str, Any]:
    """What a model is told of it, under the names that the protocol has for it."""
    return dict(zip(SEQUENCE, (step.id, step.is_start, step.is_end), strict=True))


def _whole(document: InferDocument, name: str) -> int:
    value = (document.parameters or {}).get(name, 0)
    if type(value) is not int or value < 0:
        raise invalid(f"Unable to parse 'parameters': '{name}' must be a whole number, 0 or more")
    return value
