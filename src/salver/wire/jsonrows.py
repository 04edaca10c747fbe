"""The rows of outputs as JSON text, one piece for each request of a burst: written once, then cut. Pure.

NumPy's numbers are written by orjson in one go; what stands between two rows of numbers is always the same, so the text
can be cut there.
"""

from __future__ import annotations

import numpy as np
import orjson

from salver.types import Array

NUMPY = orjson.OPT_SERIALIZE_NUMPY
WRITTEN_AS_THEY_ARE = frozenset(map(np.dtype, ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")))
"""In the byte order of this machine."""


def row_texts(array: Array) -> list[bytes] | None:
    """The text of each row of a vector or a table of numbers; None for anything else."""
    rank = array.ndim
    if rank < 1 or rank > 2 or not array.size:
        return None
    dtype = array.dtype
    if dtype not in WRITTEN_AS_THEY_ARE:
        if dtype.kind not in "biuf":
            return None
        array = array.astype(dtype.newbyteorder("="))
    try:
        text = orjson.dumps(array, None, NUMPY)
    except TypeError:  # a kind of number that orjson does not know, or rows that do not lie one behind the other
        try:
            text = orjson.dumps(np.ascontiguousarray(array), None, NUMPY)
        except TypeError:
            return None
    if rank == 1:
        return text[1:-1].split(b",")
    rows = text[2:-2].split(b"],[")
    return [b"[%b]" % row for row in rows]


def shared_out(texts: list[bytes], rows: list[int]) -> list[bytes]:
    """The texts of each request's rows, with commas between them."""
    if len(texts) == len(rows):
        return texts
    shares: list[bytes] = []
    start = 0
    for count in rows:
        shares.append(b",".join(texts[start : start + count]))
        start += count
    return shares


def parts(outputs: dict[str, Array], rows: list[int]) -> list[dict[str, Array]]:
    """The outputs of each request."""
    shares: list[dict[str, Array]] = []
    start = 0
    for count in rows:
        shares.append({name: array[start : start + count] for name, array in outputs.items()})
        start += count
    return shares
