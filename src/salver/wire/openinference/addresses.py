"""The prediction addresses, taken apart. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

MAX_INT64 = 2**63 - 1
_INFER = re.compile(rb"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[0-9]+))?/infer")


_GENERATE = re.compile(
    rb"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[0-9]+))?/(?P<verb>generate|generate_stream|infer_stream)"
)


class InferAddress(NamedTuple):
    """A model's name, percent-decoded, and the version where one is named."""

    model: str
    version: int | None


def parse_infer(target: bytes) -> InferAddress | None:
    """What a target (path and query as sent) asks to be predicted; None when it is another address."""
    match = _INFER.fullmatch(target.partition(b"?")[0])
    return None if match is None else _address(match)


def parse_generate(target: bytes) -> tuple[InferAddress, str] | None:
    """The same of an address of the generate extension, with its verb."""
    match = _GENERATE.fullmatch(target.partition(b"?")[0])
    return None if match is None else (_address(match), match["verb"].decode())


def _address(match: re.Match[bytes]) -> InferAddress:
    model = unquote_to_bytes(match["model"]).decode("utf-8", "replace")
    return InferAddress(model, None if match["version"] is None else version_number(match["version"].decode()))


def version_number(digits: str) -> int:
    """Digits as a number; one that no version can have stands for all that are too large."""
    short = digits.lstrip("0") or "0"
    return min(int(short), MAX_INT64) if len(short) <= 19 else MAX_INT64
