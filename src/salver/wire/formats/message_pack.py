"""Outputs as msgpack: the document of the JSON answer, with NaN, infinities and bytes as themselves."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from salver.types import Array
from salver.wire.formats.table import texts


def message_pack_answer(outputs: dict[str, Array], beside: dict[str, Any]) -> bytes:
    return msgspec.msgpack.encode({**beside, "outputs": {name: _values(array) for name, array in outputs.items()}})


def _values(array: Array) -> Any:
    if array.dtype.kind != "O":
        return array.tolist()
    flat = np.empty(array.size, object)
    flat[:] = texts(array)
    return flat.reshape(array.shape).tolist()
