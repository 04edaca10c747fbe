"""Headers that wires pass on: a request's to a model's code, a model's to the client."""

from __future__ import annotations

import re
from collections.abc import Iterable

WITHHELD = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
"""A model's code never sees what proves who the caller is."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
"""RFC 9110 §5.1: a token."""


def for_model(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """The request's headers for a model's code, names in the client's case; without credentials."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name.lower() not in WITHHELD}
