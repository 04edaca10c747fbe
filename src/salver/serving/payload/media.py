"""Content types, as far as they decide how a body is read."""

from __future__ import annotations

JSON = "application/json"
CSV = "text/csv"
TEXT = "text/plain"
RAW = "application/octet-stream"
NPY = frozenset({"application/x-npy", "application/npy"})
UNTYPED = frozenset({"", RAW})

JSON_LINES = ("application/x-ndjson", "application/jsonlines", "application/x-jsonlines", "application/jsonl")
NPZ = ("application/x-npz", "application/npz")
ARROW = ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.file")
PARQUET = ("application/vnd.apache.parquet", "application/x-parquet")
MESSAGE_PACK = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")

QUICK_BYTES = 64 * 1024
"""A body up to this size is read in less time than handing it to a thread is worth, unless it is packed."""
PACKED = frozenset({*NPZ, *ARROW, *PARQUET})
"""Forms that unfold: their size does not tell how long they take."""
READ_VALUE_BY_VALUE = frozenset({CSV, *JSON_LINES, *MESSAGE_PACK})


def bare_media_type(content_type: str) -> str:
    """The type alone, in lower case, without charset and other parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type == JSON or media_type.endswith("+json")


def parameter(content_type: str, name: str) -> str:
    """A parameter of a content type, in lower case; empty when it has none of this name."""
    for piece in content_type.lower().split(";")[1:]:
        key, _, value = piece.partition("=")
        if key.strip() == name:
            return value.strip().strip('"')
    return ""


def takes_long(media_type: str, size: int) -> bool:
    """Whether reading such a body would hold up everybody else."""
    return media_type in PACKED or (size > QUICK_BYTES and media_type in READ_VALUE_BY_VALUE)
