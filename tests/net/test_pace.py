"""Whose turn it is, and for how long: pure, so the clock is a number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.net.base import NetSettings
from salver.net.pace import LINGER_S, Pace, Turn, Verdict

SETTINGS = NetSettings(header_timeout_s=10, body_timeout_s=10, min_body_rate=100, keep_alive_s=75, write_timeout_s=30)
LIMITS = {
    Turn.FIRST_REQUEST: (10, Verdict.IDLE),
    Turn.NEXT_REQUEST: (75, Verdict.IDLE),
    Turn.HEAD: (10, Verdict.SLOW_HEAD),
    Turn.BODY: (10, Verdict.SLOW_BODY),
    Turn.READING: (30, Verdict.CUT),
    Turn.LEAVING: (LINGER_S, Verdict.CUT),
}


@pytest.mark.parametrize("turn", LIMITS)
def test_each_turn_has_its_time(turn) -> None:
    limit, verdict = LIMITS[turn]
    pace = Pace()
    assert pace.judge(SETTINGS, 1000.0, turn, 1, 0) is Verdict.FINE
    assert pace.judge(SETTINGS, 999.5 + limit, turn, 1, 0) is Verdict.FINE
    assert pace.judge(SETTINGS, 1000.5 + limit, turn, 1, 0) is verdict


def test_the_server_has_all_the_time_it_wants() -> None:
    pace = Pace()
    for now in (0.0, 1e6, 1e9):
        assert pace.judge(SETTINGS, now, Turn.SERVER, 1, 0) is Verdict.FINE


@given(st.sampled_from(list(LIMITS)), st.sampled_from(list(Turn)), st.integers(0, 3), st.integers(0, 3))
def test_a_new_turn_or_request_starts_the_time_anew(before, after, first, second) -> None:
    pace = Pace()
    pace.judge(SETTINGS, 0.0, before, first, 0)
    if (before, first) != (after, second):
        assert pace.judge(SETTINGS, 1e9, after, second, 0) is Verdict.FINE


def test_a_body_must_move_and_be_fast_enough_on_the_whole() -> None:
    pace = Pace()
    pace.judge(SETTINGS, 0.0, Turn.BODY, 1, 0)
    assert pace.judge(SETTINGS, 9.0, Turn.BODY, 1, 10) is Verdict.FINE
    assert pace.judge(SETTINGS, 11.0, Turn.BODY, 1, 20) is Verdict.SLOW_BODY
    pace = Pace()
    pace.judge(SETTINGS, 0.0, Turn.BODY, 1, 0)
    assert pace.judge(SETTINGS, 9.0, Turn.BODY, 1, 100_000) is Verdict.FINE
    assert pace.judge(SETTINGS, 18.0, Turn.BODY, 1, 100_000) is Verdict.FINE
    assert pace.judge(SETTINGS, 19.5, Turn.BODY, 1, 100_000) is Verdict.SLOW_BODY


def test_an_answer_is_read_as_long_as_any_of_it_is() -> None:
    pace = Pace()
    for step in range(100):
        assert pace.judge(SETTINGS, 29.0 * step, Turn.READING, 1, 1000 - step) is Verdict.FINE
    assert pace.judge(SETTINGS, 29.0 * 99 + 31, Turn.READING, 1, 901) is Verdict.CUT
