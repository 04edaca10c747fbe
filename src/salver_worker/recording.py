"""An example's answer in the form in which later ones are compared with it: short, without a machine's last digits."""

from __future__ import annotations

import math
from typing import Any, Dict, Union

from salver_worker.example import parsed
from salver_worker.runtimes.base import Arrays

MAX_VALUES = 10000
"""Of one output. Of longer ones the beginning of each innermost list is kept, as `matches` lets it be cut."""
SHORT = 16


def recorded(answer: Union[Arrays, str]) -> Dict[str, Any]:
    """What `expect` says of a model's outputs, or of a handler's text. What cannot be compared is left out."""
    return _body(answer) if isinstance(answer, str) else _outputs(answer)


def _outputs(outputs: Arrays) -> Dict[str, Any]:
    answer = {}
    for name, array in outputs.items():
        width = array.shape[-1] if array.shape else 1
        if array.size > MAX_VALUES:
            width = min(width, SHORT)
        kept = array[..., :width] if array.shape else array
        if kept.size <= MAX_VALUES and _is_comparable(kept.tolist()):
            answer[name] = _plain(kept.tolist())
    return answer


def _body(text: str) -> Dict[str, Any]:
    value = parsed(text)
    return {"body": _plain(value)} if len(text) <= MAX_VALUES and _is_comparable(value) else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float("%.6g" % value)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _is_comparable(value: Any) -> bool:
    """Whether JSON can hold it, and two of it are equal."""
    if isinstance(value, dict):
        return all(map(_is_comparable, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_comparable, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is not None and not isinstance(value, complex)
