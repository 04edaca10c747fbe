"""What a request may say beside its inputs: each parameter has a type and bounds. Others are about something else."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Optional, Sequence

from salver_worker.errors import InputError

MAX_LABELS = 1000
MAX_TEXT = 1000


def whole(parameters: Mapping[str, Any], name: str, least: int, most: int) -> Optional[int]:
    """None where the request does not say it."""
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError("the parameter %s must be a whole number from %d to %d" % (name, least, most))
    return value


def number(parameters: Mapping[str, Any], name: str, least: float, most: float) -> Optional[float]:
    value = parameters.get(name)
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not least <= value <= most:
        raise InputError("the parameter %s must be a number from %g to %g" % (name, least, most))
    return float(value)


def flag(parameters: Mapping[str, Any], name: str) -> Optional[bool]:
    value = parameters.get(name)
    if value is not None and not isinstance(value, bool):
        raise InputError("the parameter %s must be true or false" % name)
    return value


def choice(parameters: Mapping[str, Any], name: str, known: Sequence[str]) -> Optional[str]:
    value = parameters.get(name)
    if value is not None and value not in known:
        raise InputError("the parameter %s must be one of %s" % (name, ", ".join(known)))
    return value


def texts(parameters: Mapping[str, Any], name: str) -> Optional[List[str]]:
    """A text, or several: as a list, or as the JSON of one for protocols whose parameters are plain values."""
    value = parameters.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    found = [value] if isinstance(value, str) else value
    is_right = isinstance(found, list) and 0 < len(found) <= MAX_LABELS
    if not is_right or not all(isinstance(text, str) and 0 < len(text) <= MAX_TEXT for text in found):
        raise InputError("the parameter %s must be a text, or a list of texts" % name)
    return list(found)
