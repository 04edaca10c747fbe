"""What front ends have told of their counts, kept so that the sum over all of them never falls when one dies."""

from __future__ import annotations

import msgspec

from salver.telemetry.counters import BatchCount, Report, merged, merged_batches


class Ledger:
    """The last report of each front end, and the counts of those that are gone as far as they had told them."""

    def __init__(self) -> None:
        self._told: dict[object, Report] = {}
        self._gone: Report | None = None

    def note(self, front_end: object, report: Report) -> None:
        self._told[front_end] = report

    def note_batches(self, front_end: object, batches: tuple[BatchCount, ...]) -> None:
        """What its queues have done, told by itself."""
        self._told[front_end] = msgspec.structs.replace(self._told.get(front_end, Report()), batches=batches)

    def close(self, front_end: object) -> None:
        """The front end is gone: what it had counted stays, what it held does not."""
        last = self._told.pop(front_end, None)
        if last is not None:
            counted = _without_gauges(last)
            self._gone = counted if self._gone is None else merged((self._gone, counted))

    def batches(self) -> tuple[BatchCount, ...]:
        """The sum of what all queues have done."""
        return merged_batches(report.batches for report in self.reports())

    def reports(self) -> list[Report]:
        """To be added up."""
        return [*self._told.values(), *(() if self._gone is None else (self._gone,))]


def _without_gauges(report: Report) -> Report:
    batches = tuple(msgspec.structs.replace(batch, waiting_rows=0, flying_rows=0) for batch in report.batches)
    return msgspec.structs.replace(report, connections=0, batches=batches)
