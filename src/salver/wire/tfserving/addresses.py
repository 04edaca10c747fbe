"""The two kinds of address of this protocol, taken apart. Letters of either case will do, as in the original."""

from __future__ import annotations

import enum
import re
from urllib.parse import unquote_to_bytes

import msgspec

MAX_INT64 = 2**63 - 1

_PLACE = rb"(?:/versions/(?P<version>[0-9]+)|/labels/(?P<label>[^/:]+))?"
_PREDICTION = re.compile(rb"/v1/models/(?P<model>[^/:]+)" + _PLACE + rb":(?P<verb>classify|regress|predict)", re.I)
_MODEL = re.compile(rb"/v1/models(?:/(?P<model>[^/:]+))?" + _PLACE + rb"(?:/(?P<verb>metadata))?", re.I)
PATTERNS = {"POST": _PREDICTION, "GET": _MODEL}


class Verb(enum.Enum):
    PREDICT = "predict"
    CLASSIFY = "classify"
    REGRESS = "regress"
    STATUS = "status"
    METADATA = "metadata"


class Address(msgspec.Struct, frozen=True):
    """What an address names; names and labels are percent-decoded."""

    verb: Verb
    model: str
    version: int | None = None
    label: str | None = None


class AddressError(Exception):
    """The address has the right form but cannot be meant; the text is the original's."""


def parse_address(method: str, target: bytes) -> Address | None:
    """The meaning of a method and target (path and query as sent), or None when it has none. Raises AddressError."""
    path = target.partition(b"?")[0]
    pattern = PATTERNS.get(method)
    match = None if pattern is None else pattern.fullmatch(path)
    if match is None:
        return None
    if match["model"] is None:
        raise AddressError("Missing model name in request.")
    verb = "status" if match["verb"] is None else match["verb"].decode().lower()
    label = None if match["label"] is None else _text(match["label"])
    return Address(Verb(verb), _text(match["model"]), _version(match["version"]), label)


def malformed(method: str, target: bytes) -> str:
    """The text for every address and method that this protocol does not have."""
    return f"Malformed request: {method} {target.partition(b'?')[0].decode('utf-8', 'replace')}"


def _version(digits: bytes | None) -> int | None:
    if digits is None:
        return None
    number = digits.lstrip(b"0") or b"0"
    if len(number) > 19 or int(number) > MAX_INT64:
        raise AddressError(f"Failed to convert version: {digits.decode()} to numeric.")
    return int(number)


def _text(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode("utf-8", "replace")
