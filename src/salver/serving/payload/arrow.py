"""Apache Arrow: a stream of record batches, or the file that holds one (Feather V2), as the columns of a table.

The body is not trusted: what it unfolds to is bounded before it is unfolded, and every offset is checked before a value
is read.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from salver.errors import Code, RequestError
from salver.serving.payload.arrow_columns import table_to_columns
from salver.serving.payload.arrow_messages import file_blocks, unfolded_bytes
from salver.serving.payload.columns import Column
from salver.serving.payload.policy import Policy

FILE_MAGIC = b"ARROW1"
EXTRA = "salver[arrow]"


def pyarrow(module: str = "pyarrow") -> Any:
    """The library. Raises RequestError(UNSUPPORTED_MEDIA_TYPE) where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RequestError(
            Code.UNSUPPORTED_MEDIA_TYPE,
            "This server reads and writes neither Arrow nor Parquet: pyarrow is not installed.",
            fix=f"Install it beside the server: pip install '{EXTRA}'. Or send JSON, CSV or .npy.",
        ) from error


def arrow_to_columns(raw: Any, policy: Policy) -> list[Column]:
    """Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE)."""
    pa = pyarrow()
    view = memoryview(raw)
    is_file = view[: len(FILE_MAGIC)] == FILE_MAGIC
    data = pa.py_buffer(view)
    with readable("Arrow"):
        messages = file_messages(pa, data, view) if is_file else pa.ipc.MessageReader.open_stream(data)
        check_messages(messages, policy.max_bytes)
        options = pa.ipc.IpcReadOptions(use_threads=False, ensure_native_endian=True)
        with (pa.ipc.open_file if is_file else pa.ipc.open_stream)(data, options=options) as reader:
            table = reader.read_all()
        table.validate(full=True)
        return table_to_columns(pa, table, policy.max_bytes)


def file_messages(pa: Any, data: Any, view: memoryview) -> Iterator[Any]:
    """The messages that a file's footer names, as often as it names them."""
    for begin, end in file_blocks(view):
        if not 0 <= begin <= end <= len(view):
            raise ValueError("a message lies outside of the file")
        yield pa.ipc.read_message(data.slice(begin, end - begin))


def check_messages(messages: Iterable[Any], max_bytes: int) -> None:
    """Raises when they unfold to more than they may."""
    total = rows = 0
    for message in messages:
        unfolded, more_rows = unfolded_bytes(memoryview(message.metadata), memoryview(message.body or b""))
        total += unfolded
        rows += more_rows
        if total > max_bytes or rows > max_bytes:
            raise too_large("Arrow")


def too_large(form: str) -> RequestError:
    return RequestError(
        Code.PAYLOAD_TOO_LARGE, f"The {form} table is above the limit of --max-body-mb once it is unfolded."
    )


@contextmanager
def readable(form: str) -> Iterator[None]:
    """What pyarrow says of a body that it cannot read becomes the caller's error."""
    pa = pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, EOFError, MemoryError, RecursionError) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")[:200]
        raise RequestError(
            Code.INVALID_INPUT,
            f"The body is not {form} that this server reads: {reason or type(error).__name__}.",
            fix=f"Write it with a current version of Apache Arrow, and send it whole as {form}.",
        ) from error
