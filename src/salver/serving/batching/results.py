"""The headers of a worker's answers, read strictly: a worker runs the model's own code, so it may say anything."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec

from salver_worker import frames

Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]
T = TypeVar("T")


class TensorResults(msgspec.Struct, frozen=True):
    """Of each tensor its name, datatype, shape and size in bytes."""

    tensors: list[tuple[str, str, list[Size], Size]]


class OneBody(msgspec.Struct, frozen=True):
    """One request's answer from a body runtime, and how many bytes of the frame's body it has."""

    size: Size
    status: int = 200
    phrase: str = ""
    content_type: str | None = None
    headers: dict[str, str] | None = None


class BodyResults(msgspec.Struct, frozen=True):
    responses: list[OneBody]


class BodyPart(BodyResults, frozen=True):
    """A part of one request's answer; `request` is its place in the batch."""

    request: Size = 0


def read_header(raw: bytes, type: type[T]) -> T:
    """Raises FrameError when the header is not of that type."""
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.DecodeError as error:
        raise frames.FrameError(f"the header of a result is malformed: {error}") from error
