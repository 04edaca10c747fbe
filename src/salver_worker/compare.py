"""Whether an answer is the one that was expected."""

from __future__ import annotations

import math
from typing import Any, Sequence

MAX_SHOWN_CHARACTERS = 200


def matches(expected: Any, actual: Any, tolerance: float) -> bool:
    """Whether nested values agree. Innermost lists may be cut short in `expected`; text and integers must be equal.

    Where one number is a float, they may differ by `tolerance`, times the expected number's size if that is above 1.
    """
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and matches(value, actual[key], tolerance) for key, value in expected.items()
        )
    if isinstance(expected, (list, tuple)):
        return isinstance(actual, (list, tuple)) and _lists_match(expected, actual, tolerance)
    if isinstance(expected, float) or isinstance(actual, float):
        return _is_number(expected) and _is_number(actual) and _numbers_match(expected, actual, tolerance)
    return bool(_text(expected) == _text(actual))


def _lists_match(expected: Sequence[Any], actual: Sequence[Any], tolerance: float) -> bool:
    is_innermost = not any(isinstance(item, (list, tuple)) for item in actual)
    if len(expected) > len(actual) or (len(expected) < len(actual) and not is_innermost):
        return False
    return all(matches(want, have, tolerance) for want, have in zip(expected, actual))


def _numbers_match(expected: float, actual: float, tolerance: float) -> bool:
    if math.isnan(expected) or math.isinf(expected):
        return math.isnan(actual) if math.isnan(expected) else expected == actual
    return abs(expected - actual) <= tolerance * max(1.0, abs(expected))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _text(value: Any) -> Any:
    """Bytes that are text compare equal to that text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def shown(value: Any) -> str:
    """A value as a message shows it: cut when it is long."""
    text = repr(value)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else text[:MAX_SHOWN_CHARACTERS] + "..."
