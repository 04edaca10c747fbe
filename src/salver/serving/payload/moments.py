"""Dates and times: as ISO 8601 text, and as a number of units since 1970."""

from __future__ import annotations

import datetime as dt
import re

import msgspec

NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
DAY = 86_400 * 10**9
FIRST_DAY = dt.date(1970, 1, 1).toordinal()
ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?"
    r"(?P<zone>Z|z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)


class Moment(msgspec.Struct, frozen=True, gc=False):
    """Nanoseconds since 1970, in UTC where a zone was named; without `has_time` a whole day."""

    ns: int
    has_time: bool = True
    is_utc: bool = False


def moment_of(value: dt.datetime) -> Moment:
    """Of a time with a zone."""
    since = value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return Moment((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000, is_utc=True)


def iso_text(moment: Moment) -> str:
    """`2026-01-31`, `2026-01-31T12:00:00`, with a fraction of 3, 6 or 9 digits, with `Z` in UTC. Raises ValueError."""
    days, rest = divmod(moment.ns, DAY)
    text = dt.date.fromordinal(FIRST_DAY + days).isoformat() if abs(days) < 10**7 else out_of_years()
    if not moment.has_time:
        return text
    seconds, fraction = divmod(rest, 10**9)
    digits = next((size for size in (0, 3, 6) if fraction % 10 ** (9 - size) == 0), 9)
    tail = f".{fraction:09d}"[: digits + 1] if digits else ""
    zone = "Z" if moment.is_utc else ""
    return f"{text}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{tail}{zone}"


def out_of_years() -> str:
    raise ValueError("the year is not between 1 and 9999")


def parse_iso(text: str) -> Moment:
    """Raises ValueError when the text is no date of ISO 8601 (calendar date, with or without a time)."""
    match = ISO.fullmatch(text.strip())
    if match is None:
        raise ValueError("no date")
    days = dt.date.fromisoformat(match["date"]).toordinal() - FIRST_DAY
    if match["hour"] is None:
        return Moment(days * DAY, has_time=False)
    time = dt.time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
    seconds = time.hour * 3600 + time.minute * 60 + time.second - _offset_s(match["zone"])
    fraction = int((match["fraction"] or "").ljust(9, "0"))
    return Moment(days * DAY + seconds * 10**9 + fraction, is_utc=match["zone"] is not None)


def _offset_s(zone: str | None) -> int:
    if zone is None or zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError("no zone")
    return (hours * 3600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def since_1970(moment: Moment, unit: str) -> int:
    """Raises ValueError when it is no whole number of units."""
    number, rest = divmod(moment.ns, NANOSECONDS[unit])
    if rest:
        raise ValueError("no whole number of units")
    return number
