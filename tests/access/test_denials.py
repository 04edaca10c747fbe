"""Putting a flood of refusals together."""

from __future__ import annotations

from math import inf

from salver.access.audit import AuditEvent, audit_line
from salver.access.denials import Denials
from salver.store.base import AuditLine


def refused(principal: str = "key:k", at: float = 0.0) -> AuditLine:
    event = AuditEvent(
        principal=principal, operation="models.predict", outcome="PERMISSION_DENIED", is_allowed=False, request_id="r1"
    )
    return audit_line(event, at)


def summary(lines: tuple[AuditLine, ...]) -> list[tuple[str, str, float]]:
    return [(line.principal, line.detail, line.at) for line in lines]


def test_the_first_refusal_of_a_kind_is_written_at_once() -> None:
    denials = Denials()

    assert denials.note(refused("a"), 0.0) == refused("a")
    assert denials.note(refused("b"), 0.0) == refused("b")


def test_more_of_the_same_become_one_line_at_the_end_of_the_window() -> None:
    denials = Denials(window_s=60.0)
    denials.note(refused("a", at=1.0), 100.0)
    for second in range(9):
        assert denials.note(refused("a", at=2.0 + second), 101.0 + second) is None

    assert denials.take_due(159.9) == ()
    assert summary(denials.take_due(160.0)) == [("a", "9 more like this", 10.0)]


def test_a_kind_that_goes_on_is_counted_window_by_window() -> None:
    denials = Denials(window_s=60.0)
    for now in (0.0, 1.0):
        denials.note(refused("a"), now)
    denials.take_due(60.0)

    assert denials.note(refused("a"), 61.0) is None
    assert summary(denials.take_due(120.0)) == [("a", "1 more like this", 0.0)]


def test_a_kind_that_has_stopped_is_forgotten() -> None:
    denials = Denials(window_s=60.0)
    denials.note(refused("a"), 0.0)

    assert denials.take_due(60.0) == ()
    assert denials.next_due() == inf
    assert denials.note(refused("a"), 61.0) is not None


def test_kinds_beyond_the_limit_share_one_count() -> None:
    denials = Denials(window_s=60.0, max_kinds=2)

    written = [denials.note(refused(f"key:{number}", at=float(number)), float(number)) for number in range(10)]

    assert [line is not None for line in written] == [True, True] + [False] * 8
    assert summary(denials.take_due(62.0)) == [("*", "8 more, of many kinds", 9.0)]


def test_no_flood_makes_more_lines_than_the_limit_and_none_is_left_out() -> None:
    denials, lines, written = Denials(window_s=60.0, max_kinds=8), [], 0
    for number in range(10_000):
        lines += [denials.note(refused(f"key:{number % 50}"), 0.0)]
    lines = [line for line in lines if line is not None]
    sums = denials.take_due(inf)
    written = len(lines) + sum(int(line.detail.split()[0]) for line in sums)

    assert len(lines) + len(sums) <= 2 * 8 + 1
    assert written == 10_000


def test_it_says_when_the_next_count_is_due() -> None:
    denials = Denials(window_s=60.0, max_kinds=1)
    assert denials.next_due() == inf

    denials.note(refused("a"), 10.0)
    denials.note(refused("b"), 20.0)
    assert denials.next_due() == 70.0
    denials.take_due(70.0)
    assert denials.next_due() == 80.0
