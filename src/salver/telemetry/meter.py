"""Every finished call passes here once: counted, and written to the access log."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.telemetry.accesslog import AccessLog, shared_words
from salver.telemetry.live import BUCKETS_S, LiveCount

if TYPE_CHECKING:
    from salver.telemetry.base import CallFacts, CallLabels
    from salver.telemetry.counters import Counters


class Tally:
    """Where the calls of one operation, version, wire and caller are counted, and the words their log lines share."""

    __slots__ = ("count", "words")

    def __init__(self, count: LiveCount, words: str) -> None:
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
        code = "OK"
        if error is None:
            count.answered += 1
        else:
            code = error.code.value
            count.codes[code] = count.codes.get(code, 0) + 1
        count.took(seconds)
        count.seconds += seconds
        count.rows += call.rows
        if error is not None:
            count.failed_seconds += seconds
        elif call.queued_at:
            count.queued_seconds += call.queued_s
            count.reading_seconds += call.queued_at - call.started_at
        if self._log.is_on:
            self._log.request(tally.words, call, code, seconds, error)

    def record_answered(
        self,
        tally: Tally,
        ids: list[str],
        started_at: list[float],
        rows: list[int],
        queued_at: float,
        sent_at: float,
        now: float,
    ) -> None:
        """Count calls that were answered together, the one that came first first, as `record` would each of them.

        They were queued as one. `ids` may be empty when no log is kept.
        """
        count = tally.count
        number = len(started_at)
        queued_s = sent_at - queued_at
        slowest_s = now - started_at[0]
        count.answered += number
        if number == 1:
            count.took(slowest_s)
        elif bisect_left(BUCKETS_S, now - started_at[number - 1]) == bisect_left(BUCKETS_S, slowest_s):
            count.took(slowest_s, number)
        else:
            for at in started_at:
                count.took(now - at)
        count.queued_seconds += queued_s * number
        for at in started_at:
            count.seconds += now - at
            count.reading_seconds += queued_at - at
        for each in rows:
            count.rows += each
        if self._log.is_on:
            self._log.answered(tally.words, ids, started_at, rows, queued_s, now)
