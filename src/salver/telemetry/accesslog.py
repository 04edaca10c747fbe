"""One JSON line per request: who, what, how it ended, how long it took. Never what was sent or answered."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.telemetry.sink import LineSink

if TYPE_CHECKING:
    from salver.telemetry.base import CallFacts

FLUSH_S = 0.1
FLUSH_LINES = 4096
MAX_NAME = 200
MAX_DETAIL = 2000


class AccessLog:
    """Formats on the loop, hands over in chunks. Owned by one loop."""

    def __init__(
        self, sink: LineSink | None, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.time
    ) -> None:
        self._sink = sink
        self._loop = loop
        self._clock = clock
        self._lines: list[str] = []
        self._flush_handle: asyncio.TimerHandle | None = None
        self._millisecond = 0
        self._begin = ""
        """Of all lines of this millisecond: requests that ran together end together."""
        self.is_on = sink is not None

    @property
    def dropped_lines(self) -> int:
        return 0 if self._sink is None else self._sink.dropped_lines

    def request(self, words: str, call: CallFacts, code: str, seconds: float, error: SalverError | None) -> None:
        """Keep the line of a finished call; `words` are the `shared_words` of calls like it.

        What is put between quotes as it is, the server made itself or has checked. Durations are microseconds.
        """
        self._note_time()
        extra = "" if error is None else _more(call, error)
        self._lines.append(
            f'{self._begin}{call.request_id}{words}{code}","us":{int(seconds * 1e6)},'
            f'"queue_us":{int(call.queued_s * 1e6)},"rows":{call.rows}{extra}}}\n'
        )
        self._flush_later()

    def answered(
        self, words: str, ids: list[str], started_at: list[float], rows: list[int], queued_s: float, now: float
    ) -> None:
        """Keep the lines of calls that were answered together, at `now`."""
        self._note_time()
        begin = self._begin
        lines = self._lines
        queued = f',"queue_us":{int(queued_s * 1e6)},"rows":'
        for index in range(len(ids)):
            microseconds = int((now - started_at[index]) * 1e6)
            lines.append(f'{begin}{ids[index]}{words}OK","us":{microseconds}{queued}{rows[index]}}}\n')
        self._flush_later()

    def _note_time(self) -> None:
        millisecond = int(self._clock() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._begin = _beginning(millisecond)

    def _flush_later(self) -> None:
        if self._flush_handle is None:
            self._flush_handle = self._loop.call_later(FLUSH_S, self.flush)
        elif len(self._lines) >= FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        handle, self._flush_handle = self._flush_handle, None
        if handle is not None:
            handle.cancel()
        lines, self._lines = self._lines, []
        if lines and self._sink is not None:
            self._sink.write("".join(lines).encode(), len(lines))

    def close(self) -> None:
        self.flush()
        if self._sink is not None:
            self._sink.close()


def _beginning(millisecond: int) -> str:
    second, rest = divmod(millisecond, 1000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
    return f'{{"time":"{moment}.{rest:03d}Z","event":"request","id":"'


def shared_words(key: tuple[str, str, int, str], principal: str, peer: str) -> str:
    """The middle of a line, the same for all calls of one operation, model, version, wire and caller."""
    operation, model, version, wire = key
    return (
        f'","operation":"{operation}","model":"{model}","version":{version},"wire":"{wire}",'
        f'"principal":"{principal}","peer":"{peer}","code":"'
    )


def _more(call: CallFacts, error: SalverError) -> str:
    """What only failures have: the name that was asked for where no model has it, and the detail for the log."""
    fields: dict[str, str] = {}
    if call.model and not call.version:
        fields["asked_for"] = call.model[:MAX_NAME]
    if error.log_detail:
        fields["detail"] = error.log_detail[-MAX_DETAIL:]
    return f",{json.dumps(fields)[1:-1]}" if fields else ""
