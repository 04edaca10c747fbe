"""The whole answer that parts make, for callers who take no parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterable, List, Optional

import numpy as np

from salver_worker.failures import OutputInvalid
from salver_worker.runtimes.base import Arrays

if TYPE_CHECKING:
    from salver_worker.arrays import Array


def joined(parts: Iterable[Arrays], nothing: Optional[Arrays] = None) -> Arrays:
    """Text, and other bytes, one after the other in each place; of numbers the last part's.

    `nothing` is the answer when there is no part. Raises OutputInvalid when there is no such answer, and when the parts
    do not go together.
    """
    gathered: Optional[Dict[str, List[Array]]] = None
    for part in parts:
        if gathered is None:
            gathered = {name: [] for name in part}
        if part.keys() != gathered.keys():
            raise OutputInvalid("the parts of an answer do not have the same outputs")
        for name, array in part.items():
            pieces = gathered[name]
            if array.dtype.kind != "O":
                pieces.clear()
            pieces.append(array)
    if gathered is None:
        if nothing is not None:
            return nothing
        raise OutputInvalid("the model gave no part of an answer")
    return {name: _one_after_the_other(name, pieces) for name, pieces in gathered.items()}


def _one_after_the_other(name: str, pieces: List[Array]) -> Array:
    first = pieces[0]
    if len(pieces) == 1:
        return first
    if any(piece.shape != first.shape for piece in pieces):
        raise OutputInvalid("the parts of the output %s do not have the same shape" % name)
    whole = np.empty(first.shape, object)
    columns = zip(*[piece.ravel().tolist() for piece in pieces])
    whole.ravel()[:] = [b"".join(column) for column in columns]
    return whole
