"""How long a connection may take over what it owes: decided here, acted on in ``http.py``. No clock, no socket."""

from __future__ import annotations

import enum

from salver.net.base import NetSettings

LINGER_S = 2.0
"""How long a refused client may take to read why, before its connection is cut."""


class Turn(enum.Enum):
    """Whose turn it is on a connection, and for what."""

    FIRST_REQUEST = "first request"
    NEXT_REQUEST = "next request"
    HEAD = "head"
    BODY = "body"
    SERVER = "server"
    READING = "reading"
    """Part of an answer lies unread."""
    LEAVING = "leaving"
    """The last word has been said."""


class Verdict(enum.Enum):
    FINE = "fine"
    IDLE = "idle"
    SLOW_HEAD = "slow head"
    SLOW_BODY = "slow body"
    CUT = "cut"


class Pace:
    """What the sweep remembers of one connection: since when it is whose turn, and when anything last moved.

    Times are counted from the first sweep that sees a turn, so nothing on the way of a request has to look at a clock.
    """

    __slots__ = ("_moved_at", "_progress", "_request", "_since", "_turn")

    def __init__(self) -> None:
        self._turn: Turn | None = None
        self._request = 0
        self._progress = 0
        self._since = 0.0
        self._moved_at = 0.0

    def judge(self, settings: NetSettings, now: float, turn: Turn, request: int, progress: int) -> Verdict:
        """`request` is the number of the request in turn; `progress` any number that changes when the client moves."""
        if turn is not self._turn or request != self._request:
            self._turn, self._request = turn, request
            self._since = self._moved_at = now
            self._progress = progress
            return Verdict.FINE
        if progress != self._progress:
            self._progress, self._moved_at = progress, now
        return _verdict(settings, turn, now - self._since, now - self._moved_at, progress)


def _verdict(settings: NetSettings, turn: Turn, waited: float, still: float, progress: int) -> Verdict:
    if turn is Turn.NEXT_REQUEST:
        return Verdict.IDLE if waited > settings.keep_alive_s else Verdict.FINE
    if turn is Turn.FIRST_REQUEST:
        return Verdict.IDLE if waited > settings.header_timeout_s else Verdict.FINE
    if turn is Turn.HEAD:
        return Verdict.SLOW_HEAD if waited > settings.header_timeout_s else Verdict.FINE
    if turn is Turn.BODY:
        is_slow = waited > settings.body_timeout_s and progress < settings.min_body_rate * waited
        return Verdict.SLOW_BODY if is_slow or still > settings.body_timeout_s else Verdict.FINE
    if turn is Turn.READING:
        return Verdict.CUT if still > settings.write_timeout_s else Verdict.FINE
    if turn is Turn.LEAVING:
        return Verdict.CUT if waited > LINGER_S else Verdict.FINE
    return Verdict.FINE
