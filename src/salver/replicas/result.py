"""What a worker answers to one batch."""

from __future__ import annotations


class Result:
    """A worker's answer. `body` is only valid until the callback returns: the buffer behind it is used again."""

    __slots__ = ("body", "header", "verb")

    def __init__(self, verb: int, header: bytes, body: memoryview) -> None:
        self.verb = verb
        self.header = header
        self.body = body
