"""Requests of one version wait here for a free replica; this file acts on what ``planner.py`` decides.

A ticket is answered exactly once: with its own rows, or with its own error. Timers do not depend on workers: at its
deadline a ticket hears so, while the replica stays taken until the worker has really stopped.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.replicas.link import Link
from salver.replicas.result import Result
from salver.serving.batching.assembly import Assembler, assemble_bodies, part_of_body, slab_offset, split_bodies
from salver.serving.batching.latency import BatchCost, completion_time
from salver.serving.batching.oversize import Gathering
from salver.serving.batching.planner import batch_rows, pause_before_batch
from salver.serving.batching.sequences import Sequences, sequence_lost
from salver.serving.batching.ticket import FOREVER, Expected, Flight, Ticket, Watcher, parts_of
from salver.serving.batching.times import BatchTimes
from salver.serving.batching.waiting import WaitingLine
from salver.types import InferResponse, VersionInfo
from salver_worker import frames
from salver_worker.frames import RESULT

TIMER_STEP_S = 0.001
"""Timers of the loop may ring this much early."""
CALLERS_OWN = (Code.CANCELLED, Code.INVALID_INPUT)
"""Errors of a model that say nothing about the model."""
log = logging.getLogger("salver.serving")


class VersionQueue:
    """The waiting requests of one version and the links to its replicas, in one front end."""

    def __init__(
        self,
        version: VersionInfo,
        loop: asyncio.AbstractEventLoop,
        watcher: Watcher,
        *,
        deadline_grace_s: float,
        clock: Callable[[], float] = time.monotonic,
        times: BatchTimes | None = None,
    ) -> None:
        """`clock` has the base of `loop.time` but may be finer: uvloop's own counts milliseconds."""
        self.version = version
        self.cost = BatchCost()
        self.times = times or BatchTimes()
        self._sequences = Sequences()
        self._loop = loop
        self._clock = clock
        self._watcher = watcher
        self._grace_s = deadline_grace_s
        self._assembler = Assembler(version)
        self._settings = version.batching
        self._has_batches = version.has_batch_dimension
        self._max_rows = version.batching.max_batch_rows if version.has_batch_dimension else 1
        self._has_objective = version.batching.latency_objective_s is not None
        self._max_delay_s = version.batching.max_batch_delay_s
        self._links: list[Link] = []
        self._waiting = WaitingLine()
        self._batch_s = 0.0
        """What a full batch costs, at most; 0.0 until that is known."""
        self._flights: dict[Link, Flight] = {}
        self.flying_rows = 0
        self._expected: list[Expected] = []
        self._is_scheduled = False
        self._pause: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = FOREVER
        self._is_closed = False
        self._flush_soon: Callable[[], None] = self._flush

    @property
    def waiting_rows(self) -> int:
        return self._waiting.rows

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    @property
    def best_rows(self) -> int:
        """Most rows that the next batch should have."""
        if self._has_objective and self._max_rows > 1:
            return batch_rows(self._settings, self.cost)
        return self._max_rows

    # Links

    @property
    def links(self) -> Sequence[Link]:
        return self._links

    def add_link(self, link: Link) -> None:
        self._links.append(link)
        self._schedule()

    def link_lost(self, link: Link) -> None:
        if link in self._links:
            self._links.remove(link)
        if not self._links:
            self._fail_waiting(self._without_replicas())
        elif self._waiting.pinned:
            self._schedule()

    # Arrival

    def expect(self, tickets: Expected) -> None:
        """Have `tickets` submitted at the end of this turn of the loop, before the next batch is put together."""
        self._expected.append(tickets)
        if not self._is_scheduled or self._pause is not None:
            self._wake()

    def submit(self, ticket: Ticket) -> None:
        """Take a ticket in; raises RequestError when it cannot be answered in time (its reply is then never called)."""
        rows = ticket.size
        now = ticket.queued_at = self._clock()
        self._admit(ticket, rows, now)
        if ticket.is_step:
            self._pin(ticket)
        elif rows > self._max_rows and self._has_batches and ticket.request.inputs is not None:
            ticket.whole = whole = Gathering(ticket, self._max_rows, self.cancel)
            for piece in whole.pieces:
                piece.queued_at = now
                self._waiting.add(piece)
        else:
            self._waiting.add(ticket)
        if ticket.deadline < self._alarm_at:
            self._set_alarm(ticket.deadline)
        if not self._is_scheduled or self._pause is not None:
            self._wake()

    def _pin(self, step: Ticket) -> None:
        """Put a step of a sequence in the line of the sequence's replica."""
        assert step.request.sequence is not None
        replica_id = self._sequences.place(step.request.sequence, [link.replica_id for link in self._links])
        self._waiting.add_pinned(step, replica_id)

    def _admit(self, ticket: Ticket, rows: int, now: float) -> None:
        if not self._links:
            raise self._without_replicas()
        ahead = self.waiting_rows + self.flying_rows
        if not ahead and rows <= self._max_rows:
            return
        if self.waiting_rows + rows > self._settings.max_queue_rows and self.waiting_rows:
            raise self._overloaded(
                f"{self.waiting_rows} rows wait already, the limit is {self._settings.max_queue_rows}."
            )
        rounds = (ahead + rows) // self._max_rows + 2
        if now + rounds * self._batch_s <= ticket.deadline:
            return  # certain without a closer look; nothing is certain to be late before the cost is known
        needed = completion_time(
            self.cost,
            ahead_rows=ahead,
            rows=rows,
            replicas=len(self._links),
            max_batch_rows=self._max_rows,
        )
        if now + needed > ticket.deadline:
            raise self._overloaded(f"It would be answered in {needed:.3f} s, after its deadline.")

    def _without_replicas(self) -> RequestError:
        return RequestError(
            Code.MODEL_NOT_READY, f"No replica of {self.version.id} is alive at the moment.", retry_after_s=1.0
        )

    def _overloaded(self, why: str) -> RequestError:
        rows = self.waiting_rows + self.flying_rows
        busy_s = completion_time(
            self.cost, ahead_rows=rows, rows=1, replicas=len(self._links), max_batch_rows=self._max_rows
        )
        return RequestError(
            Code.OVERLOADED, f"{self.version.id} is overloaded: {why}", retry_after_s=max(1.0, round(busy_s))
        )

    # Departure

    def _schedule(self) -> None:
        if (not self._is_scheduled or self._pause is not None) and not self._is_closed:
            self._wake()

    def _wake(self) -> None:
        """Flush at the end of this turn of the loop; a pause for more rows is judged anew then."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._is_scheduled = True
        self._loop.call_soon(self._flush_soon)

    def _flush(self) -> None:
        self._pause = None
        if self._expected:
            self._submit_expected()
        self._is_scheduled = False
        waiting = self._waiting
        if waiting.pinned:
            self._send_pinned(waiting.oldest_at())
        while waiting.rows > waiting.pinned_rows:
            link = next((link for link in self._links if link.is_idle), None)
            if link is None:
                return
            if pause := self._pause_needed():
                self._is_scheduled = True
                self._pause = self._loop.call_later(pause, self._flush)
                break
            tickets = waiting.take(self.best_rows)
            if tickets:
                self._send(link, tickets)
        if waiting.pinned:
            self._send_pinned(FOREVER)

    def _send_pinned(self, oldest_at: float) -> None:
        """Give free replicas the steps of their own sequences that came before `oldest_at`."""
        for replica_id, line in list(self._waiting.pinned.items()):
            link = next((link for link in self._links if link.replica_id == replica_id), None)
            if link is None:
                while replica_id in self._waiting.pinned:
                    self._lose_sequence(self._waiting.take_pinned(replica_id))
            elif link.is_idle and line[0].queued_at <= oldest_at:
                tickets = self._waiting.take_pinned(replica_id)
                if tickets:
                    self._send(link, tickets)

    def _lose_sequence(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            step = ticket.request.sequence
            assert step is not None
            self._answer(ticket, None, sequence_lost(step))
            ticket.settle()

    def _submit_expected(self) -> None:
        """What they submit needs no flush of its own; should one of them fail, the others get theirs."""
        self._is_scheduled = True
        expected = self._expected
        try:
            while expected:
                expected.pop(0).submit()
        finally:
            if expected:
                self._wake()

    def _pause_needed(self) -> float:
        if not self._max_delay_s or self._waiting.has_alone:
            return 0.0
        waited = self._clock() - self._waiting.oldest_at()
        return pause_before_batch(self._settings, waiting_rows=self.waiting_rows, oldest_wait_s=waited)

    def _send(self, link: Link, tickets: list[Ticket]) -> None:
        first = tickets[0].request
        try:
            if first.inputs is None:
                batch = assemble_bodies(
                    [ticket.request for ticket in tickets], [ticket.request_id for ticket in tickets]
                )
            elif len(tickets) == 1:
                batch = self._assembler.assemble([first])
            else:
                if slab_offset(first) >= 0:
                    tickets.sort(key=lambda ticket: slab_offset(ticket.request))
                batch = self._assembler.assemble([ticket.request for ticket in tickets])
        except RequestError as error:
            self._fail_batch(tickets, error)
            return
        now = self._clock()
        rows = requests = 0
        latest = 0.0
        wants_parts = False
        for ticket in tickets:
            if ticket.request.wants_parts:
                wants_parts = True
            ticket.sent_at = now
            ticket.attempts += 1
            rows += ticket.size
            requests += ticket.requests
            if ticket.deadline > latest:
                latest = ticket.deadline
        flight = Flight(link, tickets, rows, requests, now)
        self._flights[link] = flight
        self.flying_rows += rows
        milliseconds = max(1, min(int((latest - now) * 1000), 0xFFFFFFFF)) if latest < FOREVER else 0
        on_part = (lambda result: self._part_came(flight, result)) if wants_parts else None
        link.send(
            batch.header, batch.pieces, batch.size, milliseconds, lambda result: self._landed(flight, result), on_part
        )

    # Answers

    def _landed(self, flight: Flight, result: Result | None) -> None:
        del self._flights[flight.link]
        self.flying_rows -= flight.rows
        if result is None:
            self._worker_died(flight.tickets)
            return
        if self.waiting_rows and not self._is_scheduled:
            self._flush()  # the worker is free: give it the next batch before writing the answers of this one
        if result.verb == RESULT:
            now = self._clock()
            took = now - flight.sent_at
            self.cost.observe(flight.rows, took)
            self._batch_s = self.cost.cautious(self._max_rows) if self.cost.is_known else 0.0
            self.times.note(flight.rows, flight.requests, took, now)
            self._deliver(flight.tickets, result)
        else:
            self._model_failed(flight.tickets, result)

    def _part_came(self, flight: Flight, result: Result) -> None:
        tickets = flight.tickets
        place = 0
        try:
            if tickets[0].request.inputs is None:
                place, response = part_of_body(self.version, result.header, result.body, len(tickets))
            else:
                outputs = self._assembler.arrays(result.header, result.body)
                (response,) = self._assembler.split(outputs, [tickets[0].request])
        except (RequestError, frames.FrameError) as error:
            log.error("malformed_part", extra={"version": str(self.version.id), "error": str(error)})
            self._give_up(flight, place, RequestError(Code.OUTPUT_INVALID, "A part of the answer cannot be read."))
            return
        ticket = tickets[place]
        if ticket.is_done or not ticket.request.wants_parts:
            return
        ticket.has_parts = True
        try:
            ticket.part(response)
        except SalverError as error:
            self._give_up(flight, place, error)
        except Exception as error:
            log.exception("part_failed")
            detail = repr(error)
            self._give_up(
                flight, place, RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=detail)
            )

    def _give_up(self, flight: Flight, place: int, error: SalverError) -> None:
        """One request of a batch that runs hears an error; the worker stops when nobody else waits for it."""
        self._answer(flight.tickets[place], None, error)
        self._interrupt_if_unwanted(flight)

    def _deliver(self, tickets: list[Ticket], result: Result) -> None:
        requests = [ticket.request for ticket in tickets]
        try:
            if requests[0].inputs is None:
                responses = split_bodies(self.version, result.header, result.body, len(requests))
            else:
                responses = self._assembler.split(self._assembler.arrays(result.header, result.body), requests)
        except RequestError as error:
            self._fail_batch(tickets, error)
            return
        except frames.FrameError as error:
            log.error("malformed_result", extra={"version": str(self.version.id), "error": str(error)})
            self._fail_batch(tickets, RequestError(Code.OUTPUT_INVALID, "The worker's answer cannot be read."))
            return
        for index in range(len(responses)):
            ticket = tickets[index]
            if not ticket.is_done:
                ticket.is_done = True
                try:
                    ticket.reply(responses[index], None)
                except Exception:
                    log.exception("reply_failed")  # one caller's answer must not cost the others theirs
            ticket.settle()

    def _answer(self, ticket: Ticket, response: InferResponse | None, error: SalverError | None) -> None:
        if ticket.is_done:
            return
        ticket.is_done = True
        try:
            ticket.reply(response, error)
        except Exception:
            log.exception("reply_failed")

    def _model_failed(self, tickets: list[Ticket], result: Result) -> None:
        header = _error_header(result.header)
        code = _code(header.get("code"))
        status = header.get("status")
        error = RequestError(
            code,
            str(header.get("message") or "The model failed."),
            status=status if isinstance(status, int) else None,
            log_detail=str(header.get("detail") or ""),
        )
        if self._fail_batch(tickets, error) and code not in CALLERS_OWN:
            self._watcher.log_model_error(self.version, tickets[0].request_id, header)

    def _fail_batch(self, tickets: list[Ticket], error: RequestError) -> bool:
        """A lone request gets the error; those of a batch are run one by one, so that only the guilty gets it.

        Whether it was a lone request.
        """
        for ticket in tickets:
            if ticket.has_parts:
                self._answer(ticket, None, error)
        parts = [part for ticket in tickets for part in parts_of(ticket)]
        if len(parts) == 1 and parts[0] is tickets[0]:
            self._answer(parts[0], None, error)
            parts[0].settle()
            return True
        self._run_alone(parts)
        return False

    def _run_alone(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            if ticket.is_done:
                ticket.settle()
                continue
            self._waiting.add_alone(ticket)
        self._schedule()

    def _worker_died(self, tickets: list[Ticket]) -> None:
        """Requests in a dead worker: once more elsewhere when that is allowed and possible, otherwise told so."""
        again: list[Ticket] = []
        error = self._lost_error()
        others = not self._is_closed and any(link.is_open for link in self._links)
        for ticket in tickets:
            is_safe = self.version.is_idempotent and ticket.request.sequence is None and not ticket.has_parts
            if not ticket.is_done and is_safe and ticket.attempts < 2 and others:
                again += parts_of(ticket)
                continue
            self._answer(ticket, None, error)
            ticket.settle()
        self._run_alone(again)

    def _lost_error(self) -> RequestError:
        """What requests hear whose worker did not answer any more. After SHUTTING_DOWN they may be sent again."""
        if self._is_closed:
            code = Code.SHUTTING_DOWN if self.version.is_idempotent else Code.WORKER_DIED
            return RequestError(code, "The version was stopped before it had answered.", retry_after_s=1.0)
        return RequestError(Code.WORKER_DIED, "The model's process died while it had this request.", retry_after_s=1.0)

    def _fail_waiting(self, error: RequestError) -> None:
        for ticket in self._waiting.clear():
            self._answer(ticket, None, error)
            ticket.settle()

    # Deadlines and cancellation

    def cancel(self, ticket: Ticket) -> None:
        """The caller is gone: a waiting ticket is skipped, a batch that nobody wants any more is interrupted."""
        if ticket.is_done:
            return
        if ticket.whole is not None:
            ticket.whole.cancel()
            return
        ticket.is_done = True
        flight = next((flight for flight in self._flights.values() if ticket in flight.tickets), None)
        if flight is None:
            self._waiting.answered(ticket)
            self._waiting.forget_done()
        else:
            self._interrupt_if_unwanted(flight)

    def _interrupt_if_unwanted(self, flight: Flight) -> None:
        if flight.is_cancelled or not all(ticket.is_done for ticket in flight.tickets):
            return
        flight.is_cancelled = True
        self._watcher.cancel_batch(flight.link.replica_id, flight.link.link_number, flight.link.batch_id)
        flight.kill_at = max(self._clock(), max(ticket.deadline for ticket in flight.tickets)) + self._grace_s
        if flight.kill_at < self._alarm_at:
            self._set_alarm(flight.kill_at)

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = at
        if at < FOREVER:
            self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        """Answer every ticket past its deadline, replace workers past their grace, and set the alarm anew.

        The alarm stands at the earliest deadline known when it was set, usually of a request answered long ago, so one
        alarm serves thousands of requests.
        """
        now = self._clock() + TIMER_STEP_S
        for flight in list(self._flights.values()):
            for ticket in flight.tickets:
                self._expire(ticket, now)
            self._interrupt_if_unwanted(flight)
            if flight.kill_at <= now:
                flight.kill_at = FOREVER
                self._watcher.replace_worker(flight.link.replica_id, "it went on after the deadline of its requests")
        for ticket in [ticket for ticket in self._waiting if ticket.deadline <= now]:
            if not ticket.is_done:  # a piece may have been given up with the one before it
                self._waiting.answered(ticket)
                self._expire(ticket, now)
        self._waiting.forget_done()
        self._set_alarm(self._next_alarm())

    def _expire(self, ticket: Ticket, now: float) -> None:
        if not ticket.is_done and ticket.deadline <= now:
            waited = ticket.deadline - ticket.queued_at
            self._answer(
                ticket, None, RequestError(Code.DEADLINE_EXCEEDED, f"The deadline passed after {waited:.3f} s.")
            )

    def _next_alarm(self) -> float:
        earliest = FOREVER
        for flight in self._flights.values():
            earliest = min(earliest, flight.kill_at)
            for ticket in flight.tickets:
                if not ticket.is_done:
                    earliest = min(earliest, ticket.deadline)
        for ticket in self._waiting:
            if not ticket.is_done:
                earliest = min(earliest, ticket.deadline)
        return earliest

    # The end

    @property
    def is_idle(self) -> bool:
        return not self._flights and not self.waiting_rows and not self._expected

    def close(self, refusal: RequestError | None = None) -> None:
        """No more requests come: what waits is refused, links are closed, and with them goes what replicas have."""
        self._is_closed = True
        self._fail_waiting(refusal or self._without_replicas())
        self._set_alarm(FOREVER)
        if self._pause is not None:
            self._pause.cancel()
        for link in list(self._links):
            link.close()


def _error_header(raw: bytes) -> dict[str, Any]:
    """What a worker says of an error; nothing, when even that cannot be read."""
    try:
        return frames.decode_header(raw)
    except frames.FrameError:
        return {}


def _code(name: Any) -> Code:
    try:
        return Code(name)
    except ValueError:
        return Code.MODEL_ERROR
