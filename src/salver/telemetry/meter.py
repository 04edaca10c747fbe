"""Every finished call passes here once: counted, and written to the access log."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.telemetry.accesslog import AccessLog, shared_words
from salver.telemetry.counters import BUCKETS_S, Counters, RequestCount

if TYPE_CHECKING:
    from salver.telemetry.base import AnsweredTogether, CallFacts, CallLabels


class Tally:
    """Where the calls of one operation, version, wire and caller are counted, and the words their log lines share."""

    __slots__ = ("count", "words")

    def __init__(self, count: RequestCount, words: str) -> None:
        self.count = count
        self.words = words


class Meter:
    """Counts and logs. Labels come from live versions only: a name that a stranger made up counts under no model."""

    def __init__(self, counters: Counters, access_log: AccessLog) -> None:
        self._counters = counters
        self._log = access_log

    @property
    def names_requests(self) -> bool:
        """Whether the log has a line for each request, with its id."""
        return self._log.is_on

    def tally(self, call: CallLabels) -> Tally:
        """For calls that have these labels in common."""
        version = call.version
        key = (call.operation.name, call.model if version else "", version, call.wire)
        return Tally(self._counters.count(key), shared_words(key, call.principal.id, call.peer))

    def record(self, tally: Tally, call: CallFacts, error: SalverError | None, now: float) -> None:
        """Count a finished call; `now` is on the clock of `call.started_at`, the monotonic one."""
        seconds = now - call.started_at
        count = tally.count
        codes = count.codes
        code = "OK" if error is None else error.code.value
        codes[code] = codes.get(code, 0) + 1
        count.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        count.seconds += seconds
        count.rows += call.rows
        if error is None:
            count.queued_seconds += call.queued_s
        if self._log.is_on:
            self._log.request(tally.words, call, code, seconds, error)

    def record_burst(self, tally: Tally, burst: AnsweredTogether, started_at: Sequence[float], now: float) -> None:
        """Count calls that were answered together, the one that came first first, as `record` would each of them."""
        count = tally.count
        number = len(started_at)
        count.codes["OK"] = count.codes.get("OK", 0) + number
        slowest = bisect_left(BUCKETS_S, now - started_at[0])
        if bisect_left(BUCKETS_S, now - started_at[-1]) == slowest:
            count.buckets[slowest] += number
        else:
            for at in started_at:
                count.buckets[bisect_left(BUCKETS_S, now - at)] += 1
        count.seconds += now * number - sum(started_at)
        count.queued_seconds += (burst.sent_at - burst.queued_at) * number
        count.rows += sum(burst.rows)
        if self._log.is_on:
            self._log.burst(tally.words, burst, started_at, now)
