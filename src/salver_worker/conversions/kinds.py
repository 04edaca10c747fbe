"""The types of parameters that several families share; a family's own types stand beside its steps."""

import math
from typing import Any, Callable, Tuple

from salver_worker.conversions.flow import DATATYPES
from salver_worker.conversions.step import Kind


def refuse_unless(is_right: bool, text: str = "") -> None:
    """Raise the ValueError that a kind's `read` owes when the value is not right."""
    if not is_right:
        raise ValueError(text)


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return (is_whole(value) or isinstance(value, float)) and math.isfinite(value)


def is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def is_list_of(accepts: Callable[[Any], bool], value: Any) -> bool:
    """Whether a value is a list, not empty, of what `accepts` says yes to."""
    return isinstance(value, list) and len(value) > 0 and all(map(accepts, value))


def kind(words: str, accepts: Callable[[Any], bool]) -> Kind:
    """A kind whose values are taken as they are written."""

    def read(value: Any) -> Any:
        refuse_unless(accepts(value))
        return value

    return Kind(words, read)


def whole(minimum: int, maximum: int, words: str) -> Kind:
    """A whole number between two bounds, both included."""
    return kind(words, lambda value: is_whole(value) and minimum <= value <= maximum)


def choice(*names: str) -> Kind:
    words = "one of " + ", ".join('"%s"' % name for name in names)
    return kind(words, lambda value: isinstance(value, str) and value in names)


def _read_names(value: Any) -> Tuple[str, ...]:
    refuse_unless(is_list_of(is_name, value))
    refuse_unless(len(set(value)) == len(value), "has the same name twice")
    return tuple(value)


FLAG = kind("true or false", lambda value: isinstance(value, bool))
NUMBER = kind("a number", is_number)
NAME = kind("a name", is_name)
FILE = kind("the name of a file in the model's folder", is_name)
NAMES = Kind("a list of different names", _read_names)
DATATYPE = choice(*DATATYPES)


def _read_numbers(value: Any) -> Tuple[float, ...]:
    numbers = value if isinstance(value, list) else [value]
    refuse_unless(is_list_of(is_number, numbers))
    return tuple(numbers)


PER_CHANNEL = Kind("a number, or a list with one number for each channel", _read_numbers)
