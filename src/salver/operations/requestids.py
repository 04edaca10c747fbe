"""Names for requests whose clients gave them none."""

from __future__ import annotations

import os

LAST_DIGITS = tuple([f"{number:03x}" for number in range(4096)])


class RequestIds:
    """Ids in the form of a random UUID, cheap enough for every request: a random prefix and a count."""

    def __init__(self) -> None:
        raw = os.urandom(8).hex()
        self._prefix = f"{raw[:8]}-{raw[8:12]}-4{raw[12:15]}-8{os.urandom(2).hex()[:3]}-"
        self._block = int.from_bytes(os.urandom(2), "big")
        self._number = len(LAST_DIGITS)
        self._beginning = ""
        """Of the ids of this block."""

    def next(self) -> str:
        if self._number == len(LAST_DIGITS):
            self._number = 0
            self._block = (self._block + 1) & 0xFFFFFFFFF
            self._beginning = f"{self._prefix}{self._block:09x}"
        self._number += 1
        return self._beginning + LAST_DIGITS[self._number - 1]
