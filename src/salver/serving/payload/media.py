"""Content types, as far as they decide how a body is read."""

from __future__ import annotations

JSON = "application/json"
CSV = "text/csv"
TEXT = "text/plain"
RAW = "application/octet-stream"
NPY = frozenset({"application/x-npy", "application/npy"})
UNTYPED = frozenset({"", RAW})


def bare_media_type(content_type: str) -> str:
    """The type alone, in lower case, without charset and other parameters."""
    return content_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    return media_type == JSON or media_type.endswith("+json")
