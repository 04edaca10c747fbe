"""Every finished call passes here once: counted, and written to the access log."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.telemetry.accesslog import AccessLog, fixed_words
from salver.telemetry.counters import BUCKETS_S, Counters, RequestCount

if TYPE_CHECKING:
    from salver.telemetry.base import FinishedCall


class Meter:
    """Counts and logs. Labels come from live versions only: a name that a stranger made up counts under no model."""

    def __init__(self, counters: Counters, access_log: AccessLog) -> None:
        self._counters = counters
        self._log = access_log
        self._kept: dict[tuple[str, str, int, str], tuple[RequestCount, str]] = {}
        """Per label set: where it is counted, and the words that all its log lines share."""

    def finished(self, call: FinishedCall, error: SalverError | None, now: float) -> None:
        """`now` is on the clock of `call.started_at`, the monotonic one."""
        version = call.version
        key = (call.operation.name, call.model if version else "", version, call.wire)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = (self._counters.count(key), fixed_words(key))
        count, words = kept
        seconds = now - call.started_at
        code = "OK" if error is None else error.code.value
        codes = count.codes
        codes[code] = codes.get(code, 0) + 1
        count.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        count.seconds += seconds
        count.rows += call.rows
        if self._log.is_on:
            self._log.request(call, words, code, seconds, error)
