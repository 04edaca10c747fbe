"""Apache Parquet: a file as the columns of a table."""

from __future__ import annotations

from typing import Any

from salver.serving.payload.arrow import pyarrow, readable, too_large
from salver.serving.payload.arrow_columns import table_to_columns
from salver.serving.payload.columns import Column
from salver.serving.payload.parquet_pages import pages
from salver.serving.payload.policy import Policy

WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8, "BYTE_ARRAY": 4}
"""Bytes of one value once it is read; a text is the number of its word."""
MAX_STRING_BYTES = 1 << 20
MAX_ITEMS = 1 << 20


def parquet_to_columns(raw: Any, policy: Policy) -> list[Column]:
    """Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE)."""
    pa, parquet = pyarrow(), pyarrow("pyarrow.parquet")
    limits = {"thrift_string_size_limit": MAX_STRING_BYTES, "thrift_container_size_limit": MAX_ITEMS}
    view = memoryview(raw)
    with readable("Parquet"):
        metadata = parquet.ParquetFile(pa.BufferReader(view), **limits).metadata
        check_pages(metadata, view, policy.max_bytes)
        # Texts come as numbers of words, or a word that is repeated would be written out in full.
        texts = [column.path for column in _leaves(metadata) if is_text(column) and not column.max_repetition_level]
        file = parquet.ParquetFile(pa.BufferReader(view), read_dictionary=texts, pre_buffer=False, **limits)
        table = file.read(use_threads=False)
        table.validate(full=True)
        return table_to_columns(pa, table, policy.max_bytes)


def check_pages(metadata: Any, view: memoryview, max_bytes: int) -> None:
    """Raises when the file unfolds to more than it may."""
    total = 0
    columns = _leaves(metadata)
    if metadata.num_rows > max_bytes:
        raise too_large("Parquet")
    for group in range(metadata.num_row_groups):
        for place, column in enumerate(columns):
            total += unfolded_bytes(column, _bytes_of(metadata.row_group(group).column(place), view), max_bytes - total)
            if total > max_bytes:
                raise too_large("Parquet")


def unfolded_bytes(column: Any, chunk: memoryview, most: int) -> int:
    """What a column's chunk takes once it is read; counted no further than above `most`."""
    width = column.length if column.length > 0 else WIDTHS.get(column.physical_type, 8)
    total = 0
    for page in pages(chunk):
        if page.is_dictionary and is_text(column) and column.max_repetition_level:
            width = max(width, page.size)  # lists of text are written out: each may be the longest word there is
        total += max(page.size, page.values * width)
        if total > most:
            break
    return total


def is_text(column: Any) -> bool:
    return bool(column.physical_type == "BYTE_ARRAY")


def _leaves(metadata: Any) -> list[Any]:
    return [metadata.schema.column(place) for place in range(metadata.num_columns)]


def _bytes_of(chunk: Any, view: memoryview) -> memoryview:
    begin = chunk.data_page_offset
    if chunk.dictionary_page_offset:
        begin = min(begin, chunk.dictionary_page_offset)
    end = begin + chunk.total_compressed_size
    if not 0 <= begin <= end <= len(view):
        raise ValueError("a column lies outside of the file")
    return view[begin:end]
