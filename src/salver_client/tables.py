"""Data frames and tables as bodies: Arrow where pyarrow is installed, else JSON."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from io import BytesIO
from typing import Any

ARROW = "application/vnd.apache.arrow.stream"


def is_table(value: Any) -> bool:
    """Whether the value has named columns: a frame of pandas or polars, a table or record batch of pyarrow."""
    has_names = hasattr(value, "columns") or hasattr(value, "column_names")
    return has_names and (hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__"))


def has_pyarrow() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def arrow_bytes(value: Any) -> bytes:
    """The table as a stream of record batches."""
    import pyarrow as pa

    table = pa.table(value) if hasattr(value, "__arrow_c_stream__") else _exchanged(value)
    sink = BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _exchanged(value: Any) -> Any:
    """By the protocol that older libraries have."""
    from pyarrow.interchange import from_dataframe

    return from_dataframe(value)


def document(value: Any) -> dict[str, Any]:
    """The table as JSON, for want of pyarrow: rows under names, whoever made it."""
    if hasattr(value, "to_dicts"):  # polars
        return {"dataframe_records": value.to_dicts()}
    to_dict: Callable[[str], dict[str, Any]] = value.to_dict
    split = to_dict("split")
    return {"dataframe_split": {"columns": list(map(str, split["columns"])), "data": split["data"]}}
