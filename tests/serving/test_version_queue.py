"""A queue answers every ticket once, with its own rows or its own error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError


def test_a_lone_request_is_sent_on_the_next_turn_of_the_loop(bench: Any) -> None:
    ticket = bench.submit([1, 2])
    bench.loop.advance()
    assert bench.link.rows.tolist() == [[1, 2]]
    bench.link.double()
    assert ticket.y == [[2, 4]]
    assert ticket.settled == 1


def test_what_arrived_together_runs_together_and_each_gets_its_own_rows(bench: Any) -> None:
    one, two, three = bench.submit([1, 1]), bench.submit([2, 2], [3, 3]), bench.submit([4, 4])
    bench.loop.advance()
    assert len(bench.link.sent) == 1
    bench.link.double()
    assert (one.y, two.y, three.y) == ([[2, 2]], [[4, 4], [6, 6]], [[8, 8]])


def test_what_waits_while_the_worker_is_busy_is_the_next_batch(bench: Any) -> None:
    first = bench.submit([1, 1])
    bench.loop.advance()
    second, third = bench.submit([2, 2]), bench.submit([3, 3])
    bench.loop.advance()
    assert len(bench.link.sent) == 1
    bench.link.double()
    assert bench.link.rows.tolist() == [[2, 2], [3, 3]]
    bench.link.double()
    assert (first.y, second.y, third.y) == ([[2, 2]], [[4, 4]], [[6, 6]])


def test_rows_are_counted_not_requests(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=3)
    bench.add_link()
    bench.submit([1, 1], [2, 2])
    bench.submit([3, 3], [4, 4])
    bench.loop.advance()
    assert bench.link.rows.shape == (2, 2)


def test_other_groups_go_in_another_batch_in_the_order_of_their_oldest(bench: Any) -> None:
    bench.submit([1, 1], group="a")
    bench.loop.now += 0.1
    bench.submit([2, 2], group="b")
    bench.loop.now += 0.1
    bench.submit([3, 3], group="a")
    bench.loop.advance()
    assert bench.link.rows.tolist() == [[1, 1], [3, 3]]
    bench.link.double()
    assert bench.link.rows.tolist() == [[2, 2]]


def test_an_error_in_a_batch_is_only_the_guilty_ones(bench: Any) -> None:
    good, bad, fine = bench.submit([1, 1]), bench.submit([13, 13], id="bad"), bench.submit([3, 3])
    bench.loop.advance()
    bench.link.fail()
    bench.loop.advance()
    for _ in range(3):
        if bench.link.rows[0, 0] == 13:
            bench.link.fail("MODEL_ERROR", "13 is unlucky.")
        else:
            bench.link.double()
        bench.loop.advance()
    assert (good.y, fine.y) == ([[2, 2]], [[6, 6]])
    assert bad.error is not None
    assert (bad.error.code, bad.error.message) == (Code.MODEL_ERROR, "13 is unlucky.")
    assert bench.watch.errors == ["bad"]
    assert [ticket.settled for ticket in (good, bad, fine)] == [1, 1, 1]


@pytest.mark.parametrize("rows_out", [0, 1, 3])
def test_a_wrong_number_of_rows_is_never_split_among_callers(bench: Any, rows_out: int) -> None:
    one, two = bench.submit([1, 1]), bench.submit([2, 2])
    bench.loop.advance()
    bench.link.answer(np.zeros((rows_out, 2)))
    bench.loop.advance()
    bench.link.double()
    bench.loop.advance()
    bench.link.answer(np.zeros((5, 2)))
    assert one.y == [[2, 2]]
    assert two.error is not None
    assert two.error.code is Code.OUTPUT_INVALID


def test_a_value_that_does_not_fit_fails_alone(make_bench: Any) -> None:
    bench = make_bench()
    bench.add_link()
    good, ragged = bench.submit([1, 1]), bench.submit([[2], [2, 3]])  # type: ignore[list-item]
    bench.loop.advance()
    bench.loop.advance()
    bench.link.double()
    bench.loop.advance()
    assert good.y == [[2, 2]]
    assert ragged.error is not None
    assert ragged.error.code is Code.INVALID_INPUT


def test_a_malformed_result_is_an_error_and_not_a_crash(bench: Any) -> None:
    from salver.replicas.result import Result
    from salver_worker import frames

    ticket = bench.submit([1, 1])
    bench.loop.advance()
    bench.link._give(Result(frames.RESULT, b'{"tensors":[["y","FP32",[9,9],4]]}', memoryview(b"abcd")))
    assert ticket.error is not None
    assert ticket.error.code is Code.OUTPUT_INVALID


def test_without_a_live_replica_a_request_is_refused_at_once(make_bench: Any) -> None:
    with pytest.raises(RequestError) as caught:
        make_bench().submit([1, 1])
    assert caught.value.code is Code.MODEL_NOT_READY
    assert caught.value.retry_after_s == 1.0


def test_a_full_queue_refuses_and_says_when_to_come_back(make_bench: Any) -> None:
    bench = make_bench(max_queue_rows=2)
    bench.add_link()
    bench.submit([0, 0])
    bench.loop.advance()
    bench.submit([1, 1], [2, 2])
    with pytest.raises(RequestError) as caught:
        bench.submit([3, 3])
    assert caught.value.code is Code.OVERLOADED
    assert caught.value.retry_after_s >= 1.0


def test_a_request_that_cannot_be_in_time_by_the_measured_service_time_is_refused_at_arrival(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=1)
    bench.add_link()
    for _ in range(5):
        bench.submit([1, 1])
        bench.loop.advance(0)
        bench.loop.now += 1.0
        bench.link.double()
    bench.submit([1, 1])
    bench.loop.advance()
    bench.submit([2, 2], within_s=10)
    with pytest.raises(RequestError) as caught:
        bench.submit([3, 3], within_s=2.5)
    assert caught.value.code is Code.OVERLOADED


def test_the_deadline_is_told_while_the_worker_is_still_busy(bench: Any) -> None:
    running = bench.submit([1, 1], within_s=1.0)
    bench.loop.advance()
    waiting = bench.submit([2, 2], within_s=0.5)
    bench.loop.advance(0.6)
    assert waiting.error is not None
    assert waiting.error.code is Code.DEADLINE_EXCEEDED
    assert running.error is None
    bench.loop.advance(0.5)
    assert running.error is not None
    assert running.error.code is Code.DEADLINE_EXCEEDED
    assert running.settled == 0, "the worker may still read its memory"


def test_a_batch_past_all_deadlines_is_interrupted_and_its_worker_replaced_after_the_grace(bench: Any) -> None:
    bench.submit([1, 1], within_s=1.0)
    bench.loop.advance(1.0)
    assert bench.watch.cancelled == [("r1", 1, 1)]
    assert bench.watch.replaced == []
    bench.loop.advance(2.1)
    assert bench.watch.replaced == ["r1"]


def test_a_late_answer_reaches_nobody_and_the_next_request_gets_its_own(bench: Any) -> None:
    late = bench.submit([1, 1], within_s=1.0)
    bench.loop.advance(1.1)
    fresh = bench.submit([5, 5])
    bench.loop.advance()
    bench.link.double()
    assert late.response is None
    assert late.settled == 1
    bench.link.double()
    assert fresh.y == [[10, 10]]


def test_a_caller_that_hangs_up_while_waiting_costs_no_run(bench: Any) -> None:
    bench.submit([1, 1])
    bench.loop.advance()
    gone = bench.submit([2, 2])
    bench.queue.cancel(gone)
    bench.queue.cancel(gone)
    assert gone.settled == 1
    bench.link.double()
    bench.loop.advance()
    assert len(bench.link.sent) == 1
    assert bench.queue.waiting_rows == 0


def test_a_batch_that_nobody_wants_any_more_is_interrupted_but_a_wanted_one_is_not(bench: Any) -> None:
    one, two = bench.submit([1, 1]), bench.submit([2, 2])
    bench.loop.advance()
    bench.queue.cancel(one)
    assert bench.watch.cancelled == []
    bench.queue.cancel(two)
    assert bench.watch.cancelled == [("r1", 1, 1)]
    bench.link.fail("CANCELLED")
    assert bench.watch.errors == []
    assert (one.settled, two.settled) == (1, 1)


def test_requests_of_a_dead_worker_run_once_more_elsewhere_one_by_one(bench: Any) -> None:
    other = type(bench.link)("r2")
    one, two = bench.submit([1, 1]), bench.submit([2, 2])
    bench.loop.advance()
    bench.add_link(other)
    bench.link.die(bench.queue)
    bench.loop.advance()
    assert other.rows.tolist() == [[1, 1]]
    other.double()
    bench.loop.advance()
    other.double()
    assert (one.y, two.y) == ([[2, 2]], [[4, 4]])


def test_a_request_that_kills_two_workers_is_not_tried_a_third_time(bench: Any) -> None:
    ticket = bench.submit([1, 1])
    bench.loop.advance()
    second, third = bench.add_link(type(bench.link)("r2")), bench.add_link(type(bench.link)("r3"))
    bench.link.die(bench.queue)
    bench.loop.advance()
    second.die(bench.queue)
    bench.loop.advance()
    assert third.sent == []
    assert ticket.error is not None
    assert ticket.error.code is Code.WORKER_DIED


def test_requests_that_must_not_run_twice_hear_that_the_worker_died(make_bench: Any) -> None:
    bench = make_bench(is_idempotent=False)
    bench.add_link()
    ticket = bench.submit([1, 1])
    bench.loop.advance()
    bench.add_link(type(bench.link)("r2"))
    bench.link.die(bench.queue)
    assert ticket.error is not None
    assert (ticket.error.code, ticket.error.retry_after_s) == (Code.WORKER_DIED, 1.0)


def test_when_the_last_replica_dies_everybody_hears_so_at_once(bench: Any) -> None:
    running = bench.submit([1, 1])
    bench.loop.advance()
    waiting = bench.submit([2, 2])
    bench.link.die(bench.queue)
    assert running.error is not None
    assert waiting.error is not None
    assert running.error.code is Code.WORKER_DIED
    assert waiting.error.code is Code.MODEL_NOT_READY
    assert bench.queue.is_idle


def test_two_replicas_share_what_waits(bench: Any) -> None:
    other = bench.add_link(type(bench.link)("r2"))
    one = bench.submit([1, 1])
    bench.loop.advance()
    two = bench.submit([2, 2])
    bench.loop.advance()
    other.double()
    bench.link.double()
    assert (one.y, two.y) == ([[2, 2]], [[4, 4]])


def test_a_request_above_the_batch_limit_runs_in_pieces_and_is_answered_whole(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=2)
    bench.add_link()
    ticket = bench.submit([1, 1], [2, 2], [3, 3], [4, 4], [5, 5])
    bench.loop.advance()
    for _ in range(3):
        assert bench.link.rows.shape[0] <= 2
        bench.link.double()
        bench.loop.advance()
    assert ticket.y == [[2, 2], [4, 4], [6, 6], [8, 8], [10, 10]]
    assert ticket.settled == 1


def test_the_first_error_of_a_piece_is_the_whole_requests(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=1)
    bench.add_link()
    ticket = bench.submit([1, 1], [2, 2], [3, 3])
    bench.loop.advance()
    bench.link.fail("INVALID_INPUT", "No.")
    bench.loop.advance()
    assert ticket.error is not None
    assert ticket.error.code is Code.INVALID_INPUT
    bench.link.double()  # the piece that had been sent meanwhile
    assert bench.queue.is_idle
    assert ticket.settled == 1


def test_a_hang_up_ends_all_pieces(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=1)
    bench.add_link()
    ticket = bench.submit([1, 1], [2, 2])
    bench.loop.advance()
    bench.queue.cancel(ticket)
    assert bench.watch.cancelled == [("r1", 1, 1)]
    bench.link.double()
    assert ticket.response is None
    assert ticket.settled == 1


def test_a_wanted_delay_gathers_rows_but_never_beyond_the_delay(make_bench: Any) -> None:
    bench = make_bench(max_batch_delay_s=0.05, max_batch_rows=3)
    bench.add_link()
    bench.submit([1, 1])
    bench.loop.advance(0.01)
    assert bench.link.sent == []
    bench.submit([2, 2])
    bench.loop.advance(0.05)
    assert bench.link.rows.shape[0] == 2


def test_a_reply_that_raises_does_not_cost_the_others_theirs(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    one, two = bench.submit([1, 1]), bench.submit([2, 2])
    one.response = object()  # type: ignore[assignment]  # makes the ticket refuse its answer
    bench.loop.advance()
    bench.link.double()
    assert two.y == [[4, 4]]
    assert "reply_failed" in caplog.text


def test_a_closed_queue_answers_what_waits(bench: Any) -> None:
    bench.submit([1, 1])
    bench.loop.advance()
    waiting = bench.submit([2, 2])
    bench.queue.close()
    assert waiting.error is not None
    assert not bench.link.is_open


def test_an_oversize_request_that_expires_while_it_waits_leaves_the_deadlines_of_others_alone(make_bench: Any) -> None:
    """Giving up its pieces must not disturb the walk over the line, nor the alarm that comes next."""
    bench = make_bench(max_batch_rows=2)
    bench.add_link()
    bench.submit([0, 0])
    bench.loop.advance()
    large = bench.submit([1, 1], [2, 2], [3, 3], [4, 4], [5, 5], within_s=1.0)
    later = bench.submit([6, 6], within_s=2.0)
    bench.loop.advance(1.5)
    assert large.error is not None
    assert large.error.code is Code.DEADLINE_EXCEEDED
    bench.loop.advance(1.0)
    assert later.error is not None
    assert later.error.code is Code.DEADLINE_EXCEEDED
    assert (large.settled, later.settled) == (1, 1)


@pytest.mark.parametrize(("is_idempotent", "code"), [(True, Code.SHUTTING_DOWN), (False, Code.WORKER_DIED)])
def test_what_a_stopped_version_had_in_hand_may_be_sent_again_only_if_it_may_run_twice(
    make_bench: Any, is_idempotent: bool, code: Code
) -> None:
    """Clients send again what hears SHUTTING_DOWN."""
    bench = make_bench(is_idempotent=is_idempotent)
    bench.add_link()
    ticket = bench.submit([1, 1])
    bench.loop.advance()
    bench.queue.close()
    bench.link.die(bench.queue)
    assert ticket.error is not None
    assert ticket.error.code is code


def test_an_oversize_request_knows_when_its_first_piece_was_sent(make_bench: Any) -> None:
    bench = make_bench(max_batch_rows=1)
    bench.add_link()
    ticket = bench.submit([1, 1], [2, 2])
    bench.loop.advance(0.5)
    first_sent_at = bench.loop.now - 0.5
    bench.link.double()
    bench.link.double()
    assert (ticket.y, ticket.sent_at) == ([[2, 2], [4, 4]], first_sent_at)


def test_what_must_run_alone_does_not_wait_for_more_rows(make_bench: Any) -> None:
    """Nor does it while others do: a pause is judged anew."""
    bench = make_bench(max_batch_delay_s=0.01)
    first, second = bench.add_link(), bench.add_link(type(bench.link)("r2"))
    one, two = bench.submit([1, 1]), bench.submit([2, 2])
    bench.loop.advance(0.01)
    assert len(first.sent) == 1
    bench.submit([3, 3])
    bench.loop.advance()
    assert second.sent == []
    first.fail()
    bench.loop.advance()
    assert sorted(link.rows.tolist() for link in (first, second)) == [[[1, 1]], [[2, 2]]]
    first.double()
    second.double()
    assert sorted([one.y, two.y]) == [[[2, 2]], [[4, 4]]]
