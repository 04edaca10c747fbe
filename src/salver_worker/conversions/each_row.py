"""One row after the other, so that an error says which row it was."""

from typing import Callable, Iterable, List, TypeVar

from salver_worker.conversions.errors import RowError

Value = TypeVar("Value")
Result = TypeVar("Result")


def each_row(function: Callable[[Value], Result], values: Iterable[Value], values_per_row: int = 1) -> List[Result]:
    """The function's result for every value. A RowError that it raises gets the number of the row."""
    results: List[Result] = []
    for place, value in enumerate(values):
        try:
            results.append(function(value))
        except RowError as error:
            raise RowError(error.message, place // values_per_row) from error
    return results


def decoded(raw: bytes, encoding: str = "utf-8-sig") -> str:
    """The text of one BYTES element. Raises RowError."""
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        name = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise RowError("the bytes are not %s text (byte %d)" % (name, error.start)) from error
