"""Every finished call passes here once: counted, and written to the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.telemetry.accesslog import AccessLog
from salver.telemetry.counters import Counters

if TYPE_CHECKING:
    from salver.telemetry.base import FinishedCall


class Meter:
    """Counts and logs. Labels come from live versions only: a name that a stranger made up counts under no model."""

    def __init__(self, counters: Counters, access_log: AccessLog) -> None:
        self._counters = counters
        self._log = access_log

    def finished(self, call: FinishedCall, error: SalverError | None, now: float) -> None:
        """`now` is on the clock of `call.started_at`."""
        seconds = now - call.started_at
        version = call.version
        operation = call.operation.name
        code = "OK" if error is None else error.code.value
        self._counters.add(operation, call.model if version else "", version, call.wire, code, seconds, call.rows)
        if self._log.is_on:
            self._log.request(
                request_id=call.request_id,
                operation=operation,
                model=call.model,
                version=version,
                wire=call.wire,
                principal=call.principal.id,
                peer=call.peer,
                error=error,
                seconds=seconds,
                queued_s=call.queued_s,
                rows=call.rows,
            )
