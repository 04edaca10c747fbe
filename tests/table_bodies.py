"""One logical table as a body of every format that can hold it."""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO, StringIO
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

ARROW_TYPES = {
    "BOOL": pa.bool_(), "INT8": pa.int8(), "INT16": pa.int16(), "INT32": pa.int32(), "INT64": pa.int64(),
    "UINT8": pa.uint8(), "UINT16": pa.uint16(), "UINT32": pa.uint32(), "UINT64": pa.uint64(),
    "FP32": pa.float32(), "FP64": pa.float64(), "TEXT": pa.string(), "DATE": pa.timestamp("us", "UTC"),
}  # fmt: skip

Columns = Mapping[str, tuple[str, Sequence[Any]]]
"""By name the type and the values; None is missing."""
Body = tuple[str, bytes]


def bodies(columns: Columns) -> Iterator[Body]:
    """The content type and the bytes, by every road that does not change what the table says."""
    rows = [
        dict(zip(columns, row, strict=True)) for row in zip(*[values for _, values in columns.values()], strict=True)
    ]
    has_nan = any(type(value) is float and not math.isfinite(value) for row in rows for value in row.values())
    if not has_nan:
        yield from json_bodies(columns, [{name: plain(value) for name, value in row.items()} for row in rows])
        yield "text/csv; header=present", csv_body(list(columns), rows)
        yield "text/csv; header=present; delimiter=semicolon", csv_body(list(columns), rows, ";")
    yield "application/msgpack", msgspec.msgpack.encode(rows)
    yield "application/msgpack", msgspec.msgpack.encode({"dataframe_records": rows})
    yield from arrow_bodies(columns)


def json_bodies(columns: Columns, rows: list[dict[str, Any]]) -> Iterator[Body]:
    split = {"columns": list(columns), "data": [list(row.values()) for row in rows], "index": list(range(len(rows)))}
    yield "application/json", orjson.dumps({"dataframe_split": split})
    yield "application/json; format=pandas-split", orjson.dumps(split)
    yield "application/json", orjson.dumps({"dataframe_records": rows})
    yield "application/json; format=pandas-records", orjson.dumps(rows)
    yield "application/json", orjson.dumps(rows)
    yield "application/x-ndjson", b"\n".join(map(orjson.dumps, rows))
    yield "application/jsonlines", b"\n".join(map(orjson.dumps, rows)) + b"\n"


def arrow_bodies(columns: Columns) -> Iterator[Body]:
    table = pa.table({name: pa.array(values, ARROW_TYPES[kind]) for name, (kind, values) in columns.items()})
    yield "application/vnd.apache.arrow.stream", arrow_stream(table)
    yield "application/vnd.apache.arrow.stream", arrow_stream(table, compression="zstd", rows=2)
    yield "application/vnd.apache.arrow.file", arrow_stream(table, new=pa.ipc.new_file, compression="lz4")
    words = [
        array.dictionary_encode() if kind == "TEXT" else array
        for array, (kind, _) in zip(table, columns.values(), strict=True)
    ]
    yield "application/vnd.apache.arrow.stream", arrow_stream(pa.table(words, names=list(columns)))
    yield "application/vnd.apache.parquet", parquet(table)
    yield "application/x-parquet", parquet(table, compression="zstd", data_page_version="2.0", row_group_size=2)
    yield "application/vnd.apache.parquet", parquet(table, use_dictionary=False, compression="none")


def arrow_stream(
    table: pa.Table, *, new: Any = pa.ipc.new_stream, compression: str | None = None, rows: int | None = None
) -> bytes:
    sink = BytesIO()
    with new(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def parquet(table: pa.Table, **options: Any) -> bytes:
    sink = BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def csv_body(names: Sequence[str], rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> bytes:
    file = StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([[cell(row[name]) for name in names] for row in rows])
    return file.getvalue().encode()


def cell(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(plain(value))


def plain(value: Any) -> Any:
    """What JSON writes: dates with no more digits than they have."""
    if not isinstance(value, dt.datetime):
        return value
    digits = "seconds" if not value.microsecond else "microseconds" if value.microsecond % 1000 else "milliseconds"
    return value.isoformat(timespec=digits).replace("+00:00", "Z")


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
