"""Answers that are compressed because their reader says so. Pure."""

from __future__ import annotations

import re
import zlib

from msgspec.structs import replace

from salver.operations.base import Answer

MIN_BYTES = 1024
"""Smaller answers travel as quickly as they are."""
MAX_BYTES = 4 * 1024 * 1024
"""Larger ones would keep everybody else waiting while they are compressed."""
LEVEL = 1
_WINDOWS = {"gzip": 31, "deflate": 15}
"""zlib's numbers for "the largest window, with the header and trailer of gzip" and "with those of zlib"."""
_CHOICE = re.compile(r"([!#$%&'*+.^_`|~0-9a-z-]+)\s*(?:;\s*q\s*=\s*([01](?:\.[0-9]{0,3})?))?")


def wanted_encoding(header: bytes | None) -> str:
    """`gzip` or `deflate`, whichever an Accept-Encoding likes better; empty when it likes neither, or none best."""
    if not header:
        return ""
    weights: dict[str, float] = {}
    for choice in header.decode("latin-1").lower().split(","):
        match = _CHOICE.fullmatch(choice.strip())
        if match is not None:
            weights[match[1]] = float(match[2] or 1)
    best = max(_WINDOWS, key=lambda name: weights.get(name, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0.0 and weight >= weights.get("identity", 0.0) else ""


def compressed(answer: Answer, encoding: str) -> Answer:
    """The answer in this encoding, when it is of a size for which that pays; as it is for an empty one."""
    if not encoding or not MIN_BYTES <= len(answer.body) <= MAX_BYTES:
        return answer
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _WINDOWS[encoding])
    body = packer.compress(answer.body) + packer.flush()
    return replace(answer, body=body, headers=(*answer.headers, ("Content-Encoding", encoding)))
