"""BYTES that a model wants as text, and what callers are told when they are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from salver_worker.errors import InputError

if TYPE_CHECKING:
    from salver_worker.arrays import Array


def texts(name: str, array: Array) -> List[str]:
    """The elements of one input, row by row. Raises InputError when bytes are not UTF-8."""
    try:
        return [element.decode() for element in array.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise InputError("the input %s holds bytes that are not UTF-8 text" % name) from error
