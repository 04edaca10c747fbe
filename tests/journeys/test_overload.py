"""More than a model can do: what is taken is answered in time, the rest hears so at once, and work goes on."""

from __future__ import annotations

from typing import NamedTuple

from journey_load import Outcome, quantile
from journey_open_load import open_load
from journey_server import eventually

SERVICE_S = 0.02
DEADLINE_MS = 200
ATTEMPTS = 3
"""A machine that others use may take the processor away for longer than the deadline."""
REFUSED = {
    "native": "503 OVERLOADED",
    "tfserving": "503 seven/1 is overloaded: It would be answered in",
    "mms": "503 ServiceUnavailableException",
}


class Measured(NamedTuple):
    """What became of the requests of one overload."""

    sent: int
    right: int
    in_time: int
    late: int
    refusal_seconds: list[float]
    goodput: float
    """Answers in time, per second."""

    @property
    def share_in_time(self) -> float:
        """Of those that were taken."""
        return self.in_time / (self.right + self.late)


def measured(outcomes: list[Outcome]) -> Measured:
    """Checks each outcome for being one of those allowed, and counts them."""
    right = [outcome for outcome in outcomes if outcome.kind == "right"]
    refused = [outcome for outcome in outcomes if outcome.kind.startswith(REFUSED[outcome.wire])]
    late = [outcome for outcome in outcomes if outcome not in right and outcome not in refused]
    assert {outcome.kind.partition(" ")[0] for outcome in late} <= {"504", "408"}  # 408 is a timeout in MMS's words
    assert all(outcome.retry_after for outcome in refused)
    in_time = [outcome for outcome in right if outcome.seconds <= DEADLINE_MS / 1000 + 0.02]
    lasted = max(outcome.sent_at for outcome in outcomes) - min(outcome.sent_at for outcome in outcomes)
    goodput = len(in_time) / (lasted + DEADLINE_MS / 1000)
    return Measured(
        len(outcomes), len(right), len(in_time), len(late), [outcome.seconds for outcome in refused], goodput
    )


def test_at_three_times_the_capacity_the_work_goes_on_as_at_its_peak(server, seven, figure):
    model = seven(name="seven", batching={"max_batch_rows": 1})
    act = f"sleep {SERVICE_S}"
    capacity = 1 / (SERVICE_S + 0.002)
    with server(model) as running:
        peak = open_load(running.url, rate=0.8 * capacity, seconds=1.0, act=act, deadline_ms=5000)
        assert {outcome.kind for outcome in peak} == {"right"}
        before = running.resident_bytes()
        for _ in range(ATTEMPTS):
            found = measured(open_load(running.url, rate=3 * capacity, seconds=2.5, act=act, deadline_ms=DEADLINE_MS))
            if found.share_in_time >= 0.99 and found.goodput >= 0.9 * capacity:
                break
        grown = running.resident_bytes() - before
        eventually(lambda: running.metrics()['salver_queue_rows{model="seven",version="1"}'] == 0, 2.0, "it is idle")
    assert found.share_in_time >= 0.99
    assert found.goodput >= 0.9 * capacity
    refusal_p50, refusal_p99 = (quantile(found.refusal_seconds, share) for share in (0.5, 0.99))
    assert refusal_p50 < 0.005
    assert grown < 20 * 1024 * 1024
    figure(
        f"{found.sent} at 3x: {found.right} right, {found.late} late, {len(found.refusal_seconds)} refused; goodput "
        f"{found.goodput / capacity:.0%} of {capacity:.0f}/s; {found.share_in_time:.2%} of the admitted in time; "
        f"refusals p50 {1000 * refusal_p50:.1f} ms, p99 {1000 * refusal_p99:.1f} ms; memory +{grown / 1048576:.1f} MiB"
    )
