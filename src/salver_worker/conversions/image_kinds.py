"""The types of parameters that say sizes and places in an image."""

from typing import Any, Tuple, Union

from salver_worker.conversions.kinds import is_list_of, is_whole, refuse_unless
from salver_worker.conversions.step import Kind

MAX_SIDE = 16384


def _is_side(value: Any) -> bool:
    return is_whole(value) and 1 <= value <= MAX_SIDE


def _read_sides(value: Any) -> Tuple[int, int]:
    refuse_unless(is_list_of(_is_side, value) and len(value) == 2)
    return value[0], value[1]


def _read_size(value: Any) -> Union[int, Tuple[int, int]]:
    return int(value) if _is_side(value) else _read_sides(value)


def _read_square(value: Any) -> Tuple[int, int]:
    return (value, value) if _is_side(value) else _read_sides(value)


def _read_box(value: Any) -> Tuple[int, int, int, int]:
    refuse_unless(is_list_of(is_whole, value) and len(value) == 4)
    top, left, height, width = value
    refuse_unless(top >= 0 and left >= 0 and _is_side(height) and _is_side(width))
    return top, left, height, width


def _is_level(value: Any) -> bool:
    return is_whole(value) and 0 <= value <= 255


def _read_colour(value: Any) -> Tuple[int, ...]:
    levels = value if isinstance(value, list) else [value]
    refuse_unless(is_list_of(_is_level, levels))
    return tuple(levels)


SIDES = Kind("[height, width], two positive integers", _read_sides)
SIZE = Kind("[height, width], two positive integers, or one for the shorter side", _read_size)
SQUARE = Kind("[height, width], two positive integers, or one for a square", _read_square)
BOX = Kind("[top, left, height, width], whole numbers", _read_box)
COLOUR = Kind("a whole number from 0 to 255, or a list with one for each channel", _read_colour)
