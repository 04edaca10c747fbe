"""Outputs in words (mms/utils/mxnet/ndarray.py). Takes whatever has a shape and becomes an array of NumPy."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import numpy as np


def top_probability(data: Any, labels: Sequence[str], top: int = 5) -> List[Dict[str, Any]]:
    """The labels of the highest values of the first row, highest first."""
    array = data.asnumpy() if hasattr(data, "asnumpy") else np.asarray(data)
    row = array.reshape(array.shape[0], -1)[0]
    ranked = np.argsort(-row, kind="stable")[:top]
    return [{"probability": float(row[index]), "class": labels[int(index)]} for index in ranked]
