"""One JSON line per request: who, what, how it ended, how long it took. Never what was sent or answered."""

from __future__ import annotations

import asyncio
import json
import time

from salver.errors import SalverError
from salver.telemetry.sink import LineSink

FLUSH_S = 0.1
FLUSH_LINES = 500


class AccessLog:
    """Formats on the loop, hands over in chunks. Owned by one loop."""

    def __init__(self, sink: LineSink | None, loop: asyncio.AbstractEventLoop) -> None:
        self._sink = sink
        self._loop = loop
        self._lines: list[str] = []
        self._flush_handle: asyncio.TimerHandle | None = None
        self._second = 0
        self._second_text = ""

    @property
    def is_on(self) -> bool:
        return self._sink is not None

    @property
    def dropped_lines(self) -> int:
        return 0 if self._sink is None else self._sink.dropped_lines

    def request(
        self,
        *,
        request_id: str,
        operation: str,
        model: str,
        version: int,
        wire: str,
        principal: str,
        peer: str,
        error: SalverError | None,
        seconds: float,
        queued_s: float,
        rows: int,
    ) -> None:
        """All but `model` are words that the server made or has checked; the model's name may be a stranger's."""
        outcome = '"OK"' if error is None else f'"{error.code.value}"'
        if error is not None and error.log_detail:
            outcome += f',"detail":{json.dumps(error.log_detail[-2000:])}'
        self._lines.append(
            f'{{"time":"{self._time()}","event":"request","id":"{request_id}","operation":"{operation}",'
            f'"model":{json.dumps(model[:200]) if not version else _quoted(model)},"version":{version},"wire":"{wire}",'
            f'"principal":"{principal}","peer":"{peer}","code":{outcome},"ms":{seconds * 1000:.3f},'
            f'"queue_ms":{queued_s * 1000:.3f},"rows":{rows}}}\n'
        )
        if len(self._lines) >= FLUSH_LINES:
            self.flush()
        elif self._flush_handle is None:
            self._flush_handle = self._loop.call_later(FLUSH_S, self.flush)

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

    def _time(self) -> str:
        now = time.time()
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"


def _quoted(name: str) -> str:
    """A registered name: letters, digits and `._-` need no escape."""
    return f'"{name}"'
