"""What a caller says of values that have no one meaning, and how much a body may unfold to."""

from __future__ import annotations

import msgspec

MISSING = ("refuse", "nan")
DATES = ("s", "ms", "us", "ns")
"""The units of a date that becomes a number."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the values of one request."""

    missing_is_nan: bool = False
    """Whether nothing, where an input takes fractions, is NaN; it is refused else."""
    dates: str = ""
    """The unit in which dates become numbers since 1970 (UTC); empty: they are refused where numbers are taken."""
    max_bytes: int = 64 * 1024 * 1024
    """What packed and repeated values may take once they are unfolded."""


STRICT = Policy()
