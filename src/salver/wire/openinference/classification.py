"""The classification extension: the highest values of an output, with their places, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from salver.types import Array
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.request import Wish


def classified(wish: Wish, array: Array, labels: Sequence[str], *, has_rows: bool) -> Array:
    """`value:index` of the highest values, highest first: for each row, or of the whole output where there are none.

    `:label` follows where the place has one in `labels`.

    Raises RequestError(INVALID_INPUT) for an output that is no numbers.
    """
    if array.dtype.kind not in "iuf":
        raise invalid(f"classification is not supported for output '{shown(wish.name)}', which is no numbers")
    table = array.reshape(array.shape[0], -1) if has_rows and array.ndim else array.reshape(1, -1)
    count = min(wish.classes, table.shape[1])
    texts = np.empty((len(table), count), object)
    for number, row in enumerate(table):
        texts[number] = [_text(row[index], int(index), labels) for index in _highest(row)[:count]]
    return texts if has_rows and array.ndim else texts.reshape(count)


def _highest(row: Array) -> Array:
    """The places of all values, the highest first; of equal ones the first."""
    order: Array = len(row) - 1 - np.argsort(row[::-1], kind="stable")[::-1]
    return order


def _text(value: np.generic, index: int, labels: Sequence[str]) -> bytes:
    number = f"{float(value):f}" if value.dtype.kind == "f" else str(value)
    label = f":{labels[index]}" if index < len(labels) else ""
    return f"{number}:{index}{label}".encode()
