"""Outputs as an Apache Arrow table: a column for each, rows of several values as lists of fixed length."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from salver.serving.payload.arrow import pyarrow
from salver.types import Array
from salver.wire.formats.table import rows_first, texts


def arrow_table(outputs: dict[str, Array], beside: dict[str, Any], *, has_rows: bool) -> Any:
    """`beside` becomes the metadata of the table's schema."""
    pa = pyarrow()
    columns = rows_first(outputs, has_rows=has_rows)
    table = pa.table([_column(pa, array) for array in columns.values()], names=list(columns))
    return table.replace_schema_metadata({key: str(value) for key, value in beside.items()})


def arrow_answer(outputs: dict[str, Array], beside: dict[str, Any], has_rows: bool) -> bytes:
    """A stream of one record batch."""
    return _written(pyarrow().ipc.new_stream, arrow_table(outputs, beside, has_rows=has_rows))


def arrow_file_answer(outputs: dict[str, Array], beside: dict[str, Any], has_rows: bool) -> bytes:
    """The file that holds such a stream (Feather V2)."""
    return _written(pyarrow().ipc.new_file, arrow_table(outputs, beside, has_rows=has_rows))


def _written(new: Any, table: Any) -> bytes:
    sink = BytesIO()
    with new(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet_answer(outputs: dict[str, Array], beside: dict[str, Any], has_rows: bool) -> bytes:
    sink = BytesIO()
    table = arrow_table(outputs, beside, has_rows=has_rows)
    pyarrow("pyarrow.parquet").write_table(table, sink)
    return sink.getvalue()


def _column(pa: Any, array: Array) -> Any:
    flat = pa.array(texts(array)) if array.dtype.kind == "O" else pa.array(np.ascontiguousarray(array).ravel())
    if 0 in array.shape[1:]:
        return pa.array(array.tolist())
    for size in reversed(array.shape[1:]):
        flat = pa.FixedSizeListArray.from_arrays(flat, size)
    return flat
