"""One line of JSON for each request, whatever is in it."""

from __future__ import annotations

import json
import os
import stat
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.telemetry.accesslog import FLUSH_LINES, AccessLog
from salver.telemetry.counters import Counters
from salver.telemetry.meter import Meter
from salver.telemetry.sink import LineSink


class KeptSink:
    dropped_lines = 3

    def __init__(self) -> None:
        self.chunks: list[tuple[bytes, int]] = []
        self.is_closed = False

    def write(self, chunk: bytes, lines: int) -> None:
        self.chunks.append((chunk, lines))

    def close(self) -> None:
        self.is_closed = True


class HandTimer:
    """The part of a loop that a log uses."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def call_later(self, delay: float, callback: Any) -> Any:
        self.callbacks.append(callback)
        return SimpleNamespace(cancel=lambda: self.callbacks.remove(callback))


class Bench:
    def __init__(self) -> None:
        self.sink = KeptSink()
        self.loop = HandTimer()
        self.now = 1_700_000_000.25
        self.log = AccessLog(self.sink, self.loop, lambda: self.now)  # type: ignore[arg-type]
        self.counters = Counters()
        self.meter = Meter(self.counters, self.log)

    def finish(self, error: Any = None, **changes: Any) -> None:
        call = SimpleNamespace(
            operation=SimpleNamespace(name="models.predict"),
            principal=SimpleNamespace(id="anonymous"),
            request_id="id",
            model="m",
            version=1,
            wire="native",
            peer="127.0.0.1",
            rows=2,
            queued_at=10.00025,
            queued_s=0.0005,
            started_at=10.0,
        )
        call.__dict__.update(changes)
        self.meter.record(self.meter.tally(call), call, error, 10.0015001)

    def lines(self) -> list[Any]:
        self.log.flush()
        raw = b"".join(chunk for chunk, _ in self.sink.chunks)
        assert raw.endswith(b"\n")
        assert raw.count(b"\n") == sum(lines for _, lines in self.sink.chunks)
        return [json.loads(line) for line in raw.splitlines()]


def test_a_line_says_who_what_how_it_ended_and_how_long_it_took() -> None:
    bench = Bench()
    bench.finish()
    assert bench.lines() == [
        {
            "time": "2023-11-14T22:13:20.250Z",
            "event": "request",
            "id": "id",
            "operation": "models.predict",
            "model": "m",
            "version": 1,
            "wire": "native",
            "principal": "anonymous",
            "peer": "127.0.0.1",
            "code": "OK",
            "us": 1500,
            "queue_us": 500,
            "rows": 2,
        }
    ]


@given(name=st.text(), detail=st.text())
def test_any_name_and_any_detail_make_one_line(name, detail) -> None:
    bench = Bench()
    error = RequestError(Code.MODEL_NOT_FOUND, "There is none.", log_detail=detail)
    bench.finish(error, model=name, version=0)
    (line,) = bench.lines()
    assert line["code"] == "MODEL_NOT_FOUND"
    assert line["model"] == ""
    assert line.get("asked_for", "") == name[:200]
    assert line.get("detail", "") == detail[-2000:]


def test_a_live_models_name_is_its_label_also_when_it_failed() -> None:
    bench = Bench()
    bench.finish(RequestError(Code.MODEL_ERROR, "It failed.", log_detail='a\n"b"'))
    (line,) = bench.lines()
    assert (line["model"], line["code"], line["detail"]) == ("m", "MODEL_ERROR", 'a\n"b"')
    assert "asked_for" not in line


def test_lines_are_handed_over_together_after_a_moment() -> None:
    bench = Bench()
    for _ in range(3):
        bench.finish()
    assert bench.sink.chunks == []
    (flush,) = bench.loop.callbacks
    flush()
    assert [lines for _, lines in bench.sink.chunks] == [3]
    bench.log.flush()
    assert len(bench.sink.chunks) == 1


def test_many_lines_do_not_wait() -> None:
    bench = Bench()
    for _ in range(FLUSH_LINES):
        bench.finish()
    assert [lines for _, lines in bench.sink.chunks] == [FLUSH_LINES]
    assert bench.loop.callbacks == []


def test_the_second_is_written_anew_when_it_is_over() -> None:
    bench = Bench()
    bench.finish()
    bench.now += 1.5
    bench.finish()
    assert [line["time"][17:23] for line in bench.lines()] == ["20.250", "21.750"]


def test_the_end_hands_over_what_waits() -> None:
    bench = Bench()
    bench.finish()
    bench.log.close()
    assert bench.sink.is_closed
    assert len(bench.sink.chunks) == 1
    assert bench.log.dropped_lines == 3


def test_a_log_that_is_off_costs_nothing_and_says_nothing() -> None:
    loop = HandTimer()
    log = AccessLog(None, loop)  # type: ignore[arg-type]
    bench = Bench()
    bench.meter = Meter(Counters(), log)
    bench.finish()
    log.flush()
    log.close()
    assert loop.callbacks == []
    assert (log.is_on, log.dropped_lines) == (False, 0)


STARTED = st.lists(st.sampled_from([0.0, 1e-6, 4e-4, 9e-4, 0.0011, 0.02, 3.0, 500.0]), min_size=1, max_size=6)


@given(ages=STARTED, rows=st.lists(st.integers(0, 3), min_size=6, max_size=6), queued_s=st.sampled_from([0.0, 0.00025]))
def test_calls_that_were_answered_together_are_counted_and_written_as_each_by_itself(ages, rows, queued_s) -> None:
    """The oldest comes first, as they do."""
    now = 1000.0
    started_at = [now - age for age in sorted(ages, reverse=True)]
    ids = [f"id-{number}" for number in range(len(ages))]
    rows = rows[: len(ages)]
    labels = labels_of()
    together, alone = Bench(), Bench()
    sent_at = now - 1.0 + queued_s
    together.meter.record_answered(together.meter.tally(labels), ids, started_at, rows, now - 1.0, sent_at, now)
    for id, at, count in zip(ids, started_at, rows, strict=True):
        call = SimpleNamespace(
            model="m",
            version=1,
            request_id=id,
            started_at=at,
            queued_at=now - 1.0,
            queued_s=sent_at - (now - 1.0),
            rows=count,
        )
        alone.meter.record(alone.meter.tally(labels), call, None, now)
    ((key, one),), ((other_key, other),) = together.counters.requests(), alone.counters.requests()
    assert key == other_key
    assert (one.codes, one.buckets, one.rows) == (other.codes, other.buckets, other.rows)
    assert one.seconds == pytest.approx(other.seconds)
    assert one.queued_seconds == pytest.approx(other.queued_seconds)
    assert one.reading_seconds == pytest.approx(other.reading_seconds)
    assert together.lines() == alone.lines()


def labels_of() -> SimpleNamespace:
    return SimpleNamespace(
        operation=SimpleNamespace(name="models.predict"),
        principal=SimpleNamespace(id="anonymous"),
        model="m",
        version=1,
        wire="native",
        peer="127.0.0.1",
    )


def test_without_a_log_no_ids_are_asked_for() -> None:
    counters = Counters()
    meter = Meter(counters, AccessLog(None, None))  # type: ignore[arg-type]
    assert not meter.names_requests
    meter.record_answered(meter.tally(labels_of()), [], [9.0, 9.5], [1, 2], 0.0, 0.0, 10.0)
    ((_, count),) = counters.requests()
    assert (count.codes, count.rows, count.seconds) == ({"OK": 2}, 3, 1.5)


class TestLineSink:
    def test_a_file_is_made_for_its_owner_alone_and_appended_to(self, tmp_path) -> None:
        path = tmp_path / "log"
        for word in (b"one\n", b"two\n"):
            sink = LineSink.open(str(path))
            sink.write(word, 1)
            sink.close()
        assert path.read_bytes() == b"one\ntwo\n"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_off_is_no_sink(self) -> None:
        assert LineSink.open("off") is None

    def test_a_dash_is_standard_error(self, capfd) -> None:
        sink = LineSink.open("-")
        sink.write(b"line\n", 1)
        sink.close()
        assert capfd.readouterr().err == "line\n"

    def test_a_reader_that_is_stuck_loses_lines_and_stops_nobody(self) -> None:
        read, write = os.pipe()
        sink = LineSink(write, owns_descriptor=True)
        for _ in range(20):
            sink.write(b"a" * 999_999 + b"\n", 1)
        assert sink.dropped_lines >= 11
        sink.close(timeout_s=0.01)
        sink.write(b"late\n", 1)
        dropped = sink.dropped_lines
        os.close(read)  # the stuck write fails now, and the thread ends
        sink._thread.join(10)
        assert not sink._thread.is_alive()
        assert dropped >= 12
        assert sink.dropped_lines == 21
        os.close(write)

    def test_what_cannot_be_written_is_counted(self) -> None:
        read, write = os.pipe()
        os.close(read)
        sink = LineSink(write, owns_descriptor=True)
        sink.write(b"one\ntwo\n", 2)
        sink.close()
        assert sink.dropped_lines == 2

    def test_a_descriptor_that_others_made_non_blocking_is_waited_for(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        sink = LineSink(write, owns_descriptor=True)
        chunk = b"a" * 199 + b"\n"
        for _ in range(1000):
            sink.write(chunk, 1)
        received = b""
        while len(received) < 200_000:
            received += os.read(read, 65536)
        sink.close()
        os.close(read)
        assert received == chunk * 1000
        assert sink.dropped_lines == 0

    def test_at_the_end_a_full_one_is_not_waited_for(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        sink = LineSink(write, owns_descriptor=True)
        sink.write(b"a" * 1_000_000 + b"\n", 1)
        sink.close(timeout_s=5)
        assert not sink._thread.is_alive()
        assert sink.dropped_lines == 1
        os.close(read)

    def test_a_line_that_was_torn_does_not_spoil_the_next(self, monkeypatch) -> None:
        """A disk may be full in the middle of a line, and have room again later."""
        written: list[bytes] = []
        room = [10]

        def write(descriptor: int, data: Any) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            piece = bytes(data[: room[0]])
            room[0] -= len(piece)
            written.append(piece)
            return len(piece)

        sink = LineSink(1, owns_descriptor=False)
        monkeypatch.setattr(os, "write", write)
        assert sink._write_all(b'{"a":1}\n{"b":2}\n') is False
        assert sink._write_all(b'{"c":3}\n') is False
        room[0] = 1000
        assert sink._write_all(b'{"d":4}\n') is True
        assert sink._write_all(b'{"e":5}\n') is True
        monkeypatch.undo()
        sink.close()
        assert b"".join(written) == b'{"a":1}\n{"\n{"d":4}\n{"e":5}\n'

    def test_a_whole_line_is_not_torn(self, monkeypatch) -> None:
        written: list[bytes] = []

        def write(descriptor: int, data: Any) -> int:
            if written:
                raise OSError(28, "No space left on device")
            written.append(bytes(data[:2]))
            return 2

        sink = LineSink(1, owns_descriptor=False)
        monkeypatch.setattr(os, "write", write)
        assert sink._write_all(b"a\nb\n") is False
        monkeypatch.undo()
        assert sink._is_torn is False
        sink.close()

    def test_a_file_that_cannot_be_opened_is_an_error_at_once(self, tmp_path) -> None:
        with pytest.raises(OSError, match="No such file"):
            LineSink.open(str(tmp_path / "none" / "log"))
