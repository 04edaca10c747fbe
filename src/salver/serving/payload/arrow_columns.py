"""The columns of an Arrow table, by their types: numbers as arrays, all else as Python's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from salver.errors import Code, RequestError
from salver.serving.payload.columns import Column
from salver.serving.payload.moments import DAY, NANOSECONDS, Moment

INDEX = "__index_level_"
"""How pandas names the columns of an index that has no name."""
MAX_DEPTH = 32
MAX_DECIMAL_SCALE = 76


def table_to_columns(pa: Any, table: Any, max_bytes: int) -> list[Column]:
    """All columns but a nameless index of pandas. Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE)."""
    names = [name for name in table.column_names if not name.startswith(INDEX)]
    budget = Budget(max_bytes)
    places = [place for place, name in enumerate(table.column_names) if not name.startswith(INDEX)]
    return [_column(pa, name, table.column(place), budget) for name, place in zip(names, places, strict=True)]


class Budget:
    """What all columns together may take."""

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes

    def spend(self, size: int) -> None:
        """Raises RequestError(PAYLOAD_TOO_LARGE) when nothing is left."""
        self._left -= size
        if self._left < 0:
            raise RequestError(
                Code.PAYLOAD_TOO_LARGE,
                "The table is above the limit of --max-body-mb once its repeated values are written out.",
            )


def _column(pa: Any, name: str, chunked: Any, budget: Budget) -> Column:
    if pa.types.is_dictionary(chunked.type):
        chunked = chunked.unify_dictionaries()
    array = chunked.combine_chunks() if chunked.num_chunks != 1 else chunked.chunk(0)
    shape, flat = flattened(pa, name, array)
    values, missing = _values(pa, name, flat, budget)
    return Column(name, values, shape, missing)


def flattened(pa: Any, name: str, array: Any) -> tuple[tuple[int, ...], Any]:
    """Lists in lists as a shape and the values in them, which must be of one length at each level."""
    shape: tuple[int, ...] = (len(array),)
    for _ in range(MAX_DEPTH):
        if isinstance(array, pa.FixedShapeTensorArray):
            if array.type.permutation not in (None, list(range(len(array.type.shape)))):
                raise _refused(name, "holds tensors whose dimensions are permuted")
            _check_none_missing(name, array)
            shape += tuple(array.type.shape)
            return shape, array.storage.flatten()
        if isinstance(array.type, pa.BaseExtensionType):
            array = array.storage
            continue
        kind = array.type
        if pa.types.is_fixed_size_list(kind):
            length = kind.list_size
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            length = _only_length(name, array)
        else:
            return shape, array
        _check_none_missing(name, array)
        shape += (length,)
        array = array.flatten()
    raise _refused(name, "holds lists that are nested too deep")


def _only_length(name: str, array: Any) -> int:
    compute = compute_functions()
    lengths = compute.min_max(compute.list_value_length(array)).as_py()
    if lengths["min"] != lengths["max"]:
        raise _refused(name, f"holds lists of different lengths, {lengths['min']} and {lengths['max']}")
    return int(lengths["min"] or 0)


def _check_none_missing(name: str, array: Any) -> None:
    if array.null_count:
        row = array.is_null().to_pylist().index(True)
        raise _refused(name, f"holds null in the place of a list, the first in row {row}")


def compute_functions() -> Any:
    import pyarrow.compute

    return pyarrow.compute


def _values(pa: Any, name: str, array: Any, budget: Budget) -> tuple[Any, Any]:
    """The flat values, and where they are missing among numbers."""
    types = pa.types
    kind = array.type
    if types.is_dictionary(kind):
        return _categories(pa, name, array, budget), None
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        budget.spend(len(array) * max(1, kind.bit_width // 8))
        return _numbers(pa, array)
    for applies, read in READERS:
        if getattr(types, applies)(kind):
            return read(pa, name, array, budget), None
    raise _refused(name, f"has the type {str(kind)[:64]}, which no input takes", "Send it as numbers or as text.")


def _numbers(pa: Any, array: Any) -> tuple[Any, Any]:
    missing = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if missing is not None:
        # What lies under a null may be anything: it is not looked at.
        array = pa.Array.from_buffers(array.type, len(array), [None, array.buffers()[1]], 0, array.offset)
    return array.to_numpy(zero_copy_only=False), missing


def _categories(pa: Any, name: str, array: Any, budget: Budget) -> list[Any]:
    """The value that each place names; values are shared, not repeated."""
    words, missing = _values(pa, name, array.dictionary, budget)
    if missing is not None:
        words = np.where(missing, None, words.astype(object))
    words = words.tolist() if isinstance(words, np.ndarray) else words
    found = [None if place is None else words[place] for place in array.indices.to_pylist()]
    budget.spend(sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in found))
    return found


def _nulls(_pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    budget.spend(len(array) * 8)
    return [None] * len(array)


def _texts(_pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    compute = compute_functions()
    budget.spend(len(array) * 8 + (compute.sum(compute.binary_length(array)).as_py() or 0))
    values: list[Any] = array.to_pylist()
    return values


def _views(_pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    """Views may all look at the same bytes; the first word of each is its length."""
    words = np.frombuffer(array.buffers()[1] or b"", np.int32).reshape(-1, 4)
    lengths = words[array.offset : array.offset + len(array), 0].astype(np.int64)
    budget.spend(len(array) * 8 + int(lengths.clip(0).sum()))
    values: list[Any] = array.to_pylist()
    return values


def _decimals(_pa: Any, name: str, array: Any, budget: Budget) -> list[Any]:
    if abs(array.type.scale) > MAX_DECIMAL_SCALE:
        raise _refused(name, f"has decimals of the scale {array.type.scale}")
    budget.spend(len(array) * 16)
    values: list[Any] = array.to_pylist()
    return values


def _timestamps(pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    factor, is_utc = NANOSECONDS[array.type.unit], array.type.tz is not None
    return _moments(array.cast(pa.int64()), budget, lambda value: Moment(value * factor, is_utc=is_utc))


def _days(pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    return _moments(array.cast(pa.int32()), budget, lambda value: Moment(value * DAY, has_time=False))


def _milliseconds(pa: Any, _name: str, array: Any, budget: Budget) -> list[Any]:
    return _moments(array.cast(pa.int64()), budget, lambda value: Moment(value * 10**6, has_time=False))


def _moments(array: Any, budget: Budget, moment: Callable[[int], Moment]) -> list[Any]:
    budget.spend(len(array) * 32)
    return [None if value is None else moment(value) for value in array.to_pylist()]


READERS: tuple[tuple[str, Callable[[Any, str, Any, Budget], list[Any]]], ...] = (
    ("is_null", _nulls),
    ("is_string", _texts),
    ("is_large_string", _texts),
    ("is_binary", _texts),
    ("is_large_binary", _texts),
    ("is_fixed_size_binary", _texts),
    ("is_string_view", _views),
    ("is_binary_view", _views),
    ("is_timestamp", _timestamps),
    ("is_date32", _days),
    ("is_date64", _milliseconds),
    ("is_decimal", _decimals),
)
"""By the names of pyarrow's own questions about a type."""


def _refused(name: str, text: str, fix: str | None = None) -> RequestError:
    return RequestError(Code.INVALID_INPUT, f"The column '{name[:64]}' of the table {text}.", fix=fix)
