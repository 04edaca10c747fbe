"""Outputs as the rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from salver.serving.payload.raw import as_text
from salver.types import Array


def rows_first(outputs: dict[str, Array], *, has_rows: bool) -> dict[str, Array]:
    """The outputs with their rows as first dimension; all of them are one row where the model knows no rows.

    Also where they do not agree on how many there are.
    """
    if has_rows and len({array.shape[:1] for array in outputs.values()} - {()}) == 1 and all_have_rows(outputs):
        return outputs
    return {name: array[np.newaxis] for name, array in outputs.items()}


def all_have_rows(outputs: dict[str, Array]) -> bool:
    return all(array.ndim for array in outputs.values())


def texts(array: Array) -> list[Any]:
    """The elements of BYTES, flat, as text where each of them is UTF-8; else all as bytes."""
    elements: list[bytes] = array.ravel().tolist()
    found = as_text(elements)
    return elements if found is None else found
