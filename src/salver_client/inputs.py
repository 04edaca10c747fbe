"""What a caller hands to `predict` becomes the body of a request, in the form that costs least and keeps its type."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

from salver_client.errors import SalverClientError
from salver_client.tables import ARROW, arrow_bytes, document, has_pyarrow, is_table

Inputs: TypeAlias = Any
"""A mapping of names to values, or the bare value of a model's only input. A value is nested lists or a number, an
array (NumPy, or anything with `__array__`), bytes or a Path (an image, a .npy, .csv or .json file), or a text. A data
frame or table (pandas, polars, pyarrow) is all inputs at once."""

NPY = "application/x-npy"
IMAGE_SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
FILE_TYPES = {
    ".npy": NPY,
    ".npz": "application/x-npz",
    ".csv": "text/csv",
    ".webp": "image/webp",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".arrow": "application/vnd.apache.arrow.file",
    ".feather": "application/vnd.apache.arrow.file",
    ".arrows": ARROW,
    ".parquet": "application/vnd.apache.parquet",
    ".msgpack": "application/msgpack",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes with their type; `file_name` where they came from a file or would be one."""

    content_type: str
    data: bytes
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class Form:
    """Several inputs in one body, each with a type of its own."""

    pieces: tuple[tuple[str, Piece], ...]


def encode_inputs(inputs: Inputs) -> Piece | Form:
    """The body that carries the inputs. Raises SalverClientError(INVALID_INPUT) for what cannot be sent."""
    if is_table(inputs):
        return table_piece(inputs)
    if not isinstance(inputs, Mapping):
        return encode_value(inputs)
    if any(map(is_typed, inputs.values())):
        return Form(tuple((str(name), field_of(value)) for name, value in inputs.items()))
    return Piece("application/json", to_json({"inputs": dict(inputs)}))


def table_piece(table: Any) -> Piece:
    """All inputs as the columns of a table."""
    if has_pyarrow():
        return Piece(ARROW, arrow_bytes(table))
    return Piece("application/json", to_json(document(table)))


def encode_value(value: Any) -> Piece:
    """The value of a model's only input as a whole body."""
    piece = typed_piece(value)
    return Piece("application/json", to_json({"inputs": value})) if piece is None else piece


def field_of(value: Any) -> Piece:
    """One field of a form."""
    piece = typed_piece(value)
    return Piece("application/json", to_json(value)) if piece is None else piece


def is_typed(value: Any) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview, Path)) or hasattr(value, "__array__")


def typed_piece(value: Any) -> Piece | None:
    """The piece of a value that has a form of its own; None for what is best sent as JSON."""
    if isinstance(value, Path):
        return file_piece(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return Piece(sniffed_type(data), data, "data")
    if isinstance(value, str):
        return Piece("text/plain; charset=utf-8", value.encode())
    if hasattr(value, "__array__"):
        return array_piece(value)
    return None


def file_piece(path: Path) -> Piece:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SalverClientError("INVALID_INPUT", f"{path} cannot be read: {error.strerror}.") from error
    content_type = FILE_TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or sniffed_type(data)
    return Piece(content_type, data, path.name)


def sniffed_type(data: bytes) -> str:
    """The image type that the first bytes show, else the type of raw values."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for start, name in IMAGE_SIGNATURES if data.startswith(start)), "application/octet-stream")


def array_piece(value: Any) -> Piece | None:
    """Numbers as an .npy file, which keeps datatype and shape; None for arrays of text and objects."""
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        return None
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return Piece(NPY, file.getvalue(), "data.npy")


def to_json(document: Any) -> bytes:
    try:
        return json.dumps(document, allow_nan=False, separators=(",", ":"), default=plain).encode()
    except ValueError as error:
        raise SalverClientError(
            "INVALID_INPUT", "JSON has no NaN and no infinity.", fix="Send a NumPy array instead of lists."
        ) from error


def plain(value: Any) -> Any:
    """What JSON does not know: arrays and their scalars as lists and numbers, bytes in Base64."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        from base64 import b64encode

        return {"b64": b64encode(value).decode("ascii")}
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__array__"):
        import numpy as np

        return np.asarray(value).tolist()
    raise SalverClientError(
        "INVALID_INPUT",
        f"A value of type {type(value).__name__} cannot be sent.",
        fix="Send numbers, texts, bytes, a Path, lists of them or an array.",
    )
