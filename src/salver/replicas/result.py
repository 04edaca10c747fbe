"""What a worker answers to one batch."""

from __future__ import annotations

from typing import NamedTuple


class Result(NamedTuple):
    """A worker's answer. `body` is only valid until the callback returns: the buffer behind it is used again."""

    verb: int
    header: bytes
    body: memoryview
