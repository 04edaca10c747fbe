"""Outputs as CSV (RFC 4180): a line of headings, then one line for each row."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

import numpy as np

from salver.types import Array
from salver.wire.formats.table import rows_first
from salver.wire.jsontensors import dumps, encode_array

CONTENT_TYPE = "text/csv; charset=utf-8; header=present"


def csv_answer(outputs: dict[str, Array], _beside: object, has_rows: bool) -> bytes:
    """An output with several values in a row has a column for each: `name_0`, `name_1`, ... in row-major order."""
    file = StringIO(newline="")
    writer = csv.writer(file)
    columns = [
        column for name, array in rows_first(outputs, has_rows=has_rows).items() for column in _columns(name, array)
    ]
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*[cells for _, cells in columns], strict=True))
    return file.getvalue().encode()


def _columns(name: str, array: Array) -> Iterator[tuple[str, Sequence[str]]]:
    table = array.reshape(len(array), -1)
    for place in range(table.shape[1]):
        heading = name if array.ndim == 1 else f"{name}_{place}"
        yield heading, _cells(table[:, place])


def _cells(column: Array) -> Sequence[str]:
    if column.dtype.kind == "O":
        return [text if isinstance(text, str) else dumps(text).decode() for text in encode_array(column)]
    # NumPy's text has the digits of the array's own type, which Python's float would not have.
    texts = np.where(column, "true", "false") if column.dtype.kind == "b" else column.astype(str)
    if column.dtype.kind == "f":
        texts = np.where(np.isnan(column), "NaN", texts)
    cells: list[str] = texts.tolist()
    return cells
