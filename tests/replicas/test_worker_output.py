"""What a worker prints, cut into lines."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

import uvloop
from hypothesis import given
from hypothesis import strategies as st

from salver.replicas.output import CUT, KEPT_LINES, MAX_LINE_BYTES, Lines, Output


def lines_of(*pieces: bytes) -> list[str]:
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)] + lines.end()


def test_lines_are_complete_at_their_end() -> None:
    lines = Lines()
    assert lines.feed(b"one\ntw") == ["one"]
    assert lines.feed(b"o\r\n") == ["two"]
    assert lines.feed(b"rest") == []
    assert lines.end() == ["rest"]
    assert lines.end() == []


def test_a_progress_bar_is_a_line_each_time_it_is_drawn() -> None:
    assert lines_of(b" 10%\r 20%\r\n") == [" 10%", " 20%"]


def test_empty_lines_say_nothing() -> None:
    assert lines_of(b"\n\none\n", b"\n", b"\r\n") == ["one"]


def test_what_is_not_utf_8_is_replaced() -> None:
    assert lines_of(b"caf\xe9 \xff\n") == ["caf\ufffd \ufffd"]


def test_of_a_very_long_line_the_beginning_is_kept() -> None:
    long = b"x" * (3 * MAX_LINE_BYTES)
    kept = "x" * MAX_LINE_BYTES + CUT
    assert lines_of(long + b"\nnext\n") == [kept, "next"]
    assert lines_of(long, long, b"end of it\nnext\n") == [kept, "next"]
    assert lines_of(long, b"\n", b"next\n") == [kept, "next"]
    assert lines_of(long) == [kept]


def test_a_line_of_the_limit_is_whole() -> None:
    assert lines_of(b"x" * MAX_LINE_BYTES, b"\n") == ["x" * MAX_LINE_BYTES]


@given(lines=st.lists(st.text(alphabet="ab \u00e9", min_size=1, max_size=8)), cuts=st.lists(st.integers(0, 60)))
def test_the_lines_do_not_depend_on_the_pieces_they_come_in(lines: list[str], cuts: list[int]) -> None:
    printed = "\n".join(lines).encode()
    places = sorted({0, *cuts, len(printed)})
    pieces = [printed[start:end] for start, end in itertools.pairwise(places)]
    assert lines_of(*pieces) == lines


def test_the_last_lines_are_kept_and_each_is_told(play: Callable[[Any], Any]) -> None:
    async def story() -> None:
        told: list[str] = []
        output, pipe = Output.open(told.append)
        with pipe:
            for number in range(KEPT_LINES + 10):
                pipe.write(b"line %d\n" % number)
            pipe.write(b"without an end")
        await output.wait(10)
        assert len(told) == KEPT_LINES + 11
        assert list(output.tail) == told[-KEPT_LINES:]
        assert told[-1] == "without an end"
        output.close()

    play(story())


def test_who_still_holds_the_pipe_is_not_waited_for(play: Callable[[Any], Any]) -> None:
    async def story() -> None:
        output, pipe = Output.open(lambda line: None)
        with pipe:
            pipe.write(b"one\n")
            await output.wait(0.01)
            assert list(output.tail) == ["one"]
            output.close()
            await asyncio.sleep(0)

    play(story())


def test_an_end_is_closed_once_so_that_no_file_of_a_thread_is_taken_for_it() -> None:
    """libuv and a file that both close a descriptor close somebody else's the second time."""
    lost: list[OSError] = []
    is_over = threading.Event()

    def open_and_close() -> None:
        while not is_over.is_set():
            try:
                os.close(os.open(os.devnull, os.O_RDONLY))
            except OSError as error:
                lost.append(error)

    async def story() -> None:
        for _ in range(500):
            output, pipe = Output.open(lambda line: None)
            pipe.close()
            await output.wait(1.0)
            output.close()
            await asyncio.sleep(0)

    threads = [threading.Thread(target=open_and_close) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        uvloop.run(story())
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert lost == []
