"""The rows of outputs as JSON text, one piece for each request of a burst: written once, then cut. Pure.

NumPy's numbers are written by orjson in one go; what stands between two rows of numbers is always the same, so the text
can be cut there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from salver.types import Array

NUMPY = orjson.OPT_SERIALIZE_NUMPY


def row_texts(array: Array) -> list[bytes] | None:
    """The text of each row of a vector or a table of numbers; None for anything else."""
    if array.dtype.kind not in "biuf" or not array.ndim or not array.size or array.ndim > 2:
        return None
    if not array.flags.c_contiguous or not array.dtype.isnative:
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    try:
        text = orjson.dumps(array, None, NUMPY)
    except TypeError:  # a kind of number that orjson does not know
        return None
    if array.ndim == 1:
        return text[1:-1].split(b",")
    rows = text[2:-2].split(b"],[")
    return [b"[%b]" % row for row in rows]


def shared_out(texts: Sequence[bytes], rows: Sequence[int]) -> Sequence[bytes]:
    """The texts of each request's rows, with commas between them."""
    if len(texts) == len(rows):
        return texts
    shares: list[bytes] = []
    start = 0
    for count in rows:
        shares.append(b",".join(texts[start : start + count]))
        start += count
    return shares
