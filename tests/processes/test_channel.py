"""Messages between the halves: answered by number, descriptors with the right message, an end that everybody hears."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

import msgspec
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.errors import Code, SalverError
from salver.processes.channel import Channel, ChannelClosed, raw_value


class Pair:
    """Two ends, and what the far one was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> Pair:
        one, other = socket.socketpair()
        self.loop = asyncio.get_running_loop()
        self.near = Channel(one, self.loop, self.near_handler)
        self.far = Channel(other, self.loop, self.far_handler)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()
        await asyncio.sleep(0)

    async def near_handler(self, name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        return raw_value(body, int) + 1

    async def far_handler(self, name: str, body: msgspec.Raw, descriptor: int | None) -> Any:
        if name == "read":
            assert descriptor is not None
            with os.fdopen(descriptor, "rb") as file:
                await self.gate.wait()
                return raw_value(body, int), file.read()
        await self.gate.wait()
        value = raw_value(body, object)
        self.told.append((name, value))
        if name == "refuse":
            raise SalverError(Code.CONFLICT, "No.", fix="Ask again.")
        if name == "fail":
            raise ZeroDivisionError("the secret")
        if name == "back":
            return await self.far.request("add", value, int)
        return value


def play(story: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(10), Pair() as pair:
            await story(pair)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def pipe_with(content: bytes) -> int:
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


VALUES = st.recursive(
    st.none() | st.integers(-(2**60), 2**60) | st.text() | st.binary(), lambda inner: st.lists(inner, max_size=5)
)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(VALUES, max_size=8))
def test_what_goes_out_comes_back(values) -> None:
    async def story(pair: Pair) -> None:
        answers = await asyncio.gather(*(pair.near.request("echo", value, object) for value in values))
        assert answers == values
        assert [value for _, value in pair.told] == values

    play(story)


@pytest.mark.parametrize("size", [0, 100_000, 5_000_000])
def test_messages_of_any_size(size) -> None:
    async def story(pair: Pair) -> None:
        assert await pair.near.request("echo", bytes(size), bytes) == bytes(size)

    play(story)


def test_both_ends_may_ask_while_they_are_asked() -> None:
    async def story(pair: Pair) -> None:
        assert await pair.near.request("back", 5, int) == 6

    play(story)


def test_each_descriptor_goes_with_its_own_message() -> None:
    async def story(pair: Pair) -> None:
        calls = []
        for number in range(20):
            if number % 3:
                content = b"%d" % number * 10
                descriptor = pipe_with(content)
                calls.append(
                    (pair.near.request("read", number, tuple[int, bytes], descriptor=descriptor), (number, content))
                )
            else:
                calls.append((pair.near.request("echo", bytes(200_000), bytes), bytes(200_000)))
        answers = await asyncio.gather(*(call for call, _ in calls))
        assert answers == [wanted for _, wanted in calls]

    play(story)


def test_an_error_of_the_other_half_is_raised_here() -> None:
    async def story(pair: Pair) -> None:
        with pytest.raises(SalverError) as raised:
            await pair.near.request("refuse", 1, int)
        assert (raised.value.code, raised.value.message, raised.value.fix) == (Code.CONFLICT, "No.", "Ask again.")
        assert await pair.near.request("echo", 2, int) == 2

    play(story)


def test_a_fault_of_the_other_half_is_an_error_without_its_words(caplog) -> None:
    async def story(pair: Pair) -> None:
        with pytest.raises(SalverError) as raised:
            await pair.near.request("fail", 1, int)
        assert raised.value.code is Code.INTERNAL
        assert "secret" not in str(raised.value)
        await pair.near.tell("fail", 1)
        assert await pair.near.request("echo", 2, int) == 2

    play(story)
    assert [record.getMessage() for record in caplog.records] == ["message_failed"] * 2


def test_what_is_told_is_handled_in_order() -> None:
    async def story(pair: Pair) -> None:
        for number in range(50):
            await pair.near.tell("note", number)
        await pair.near.request("echo", "end", str)
        assert [value for _, value in pair.told] == [*range(50), "end"]

    play(story)


def test_the_end_of_one_half_ends_every_call_of_the_other() -> None:
    async def story(pair: Pair) -> None:
        pair.gate.clear()
        calls = [asyncio.create_task(pair.near.request("echo", number, int)) for number in range(3)]
        calls.append(asyncio.create_task(pair.near.request("echo", bytes(20_000_000), bytes)))
        await asyncio.sleep(0.01)
        pair.far.close()
        for call in calls:
            with pytest.raises(ChannelClosed):
                await call
        await pair.near.closed
        with pytest.raises(ChannelClosed):
            await pair.near.request("echo", 1, int)
        with pytest.raises(ChannelClosed):
            await pair.near.tell("note", 1)

    play(story)


def test_a_caller_that_gives_up_leaves_the_channel_whole() -> None:
    """Half a message would make nonsense of all that follow."""

    async def story(pair: Pair) -> None:
        for _ in range(5):
            call = asyncio.create_task(pair.near.request("echo", bytes(3_000_000), bytes))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        assert await pair.near.request("echo", "still here", str) == "still here"
        assert len(pair.told) == 6
        assert pair.near._waiting == {}

    play(story)


def test_a_caller_that_gives_up_may_close_its_descriptor() -> None:
    async def story(pair: Pair) -> None:
        filling = asyncio.create_task(pair.near.request("echo", bytes(3_000_000), bytes))
        descriptor = pipe_with(b"content")
        call = asyncio.create_task(pair.near.request("read", 1, tuple[int, bytes], descriptor=descriptor))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        os.close(descriptor)
        await filling
        other = pipe_with(b"other")
        assert await pair.near.request("read", 2, tuple[int, bytes], descriptor=other) == (2, b"other")
        os.close(other)

    play(story)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_no_descriptor_is_left_when_the_channel_ends_with_messages_on_their_way() -> None:
    async def story(pair: Pair) -> None:
        before = open_descriptors()
        pair.gate.clear()
        sent = [pipe_with(b"content") for _ in range(5)]
        calls = [asyncio.create_task(pair.near.request("read", 1, tuple[int, bytes], descriptor=one)) for one in sent]
        calls.append(asyncio.create_task(pair.near.request("echo", bytes(20_000_000), bytes)))
        calls += [asyncio.create_task(pair.near.request("read", 1, tuple[int, bytes], descriptor=one)) for one in sent]
        await asyncio.sleep(0.05)
        pair.far.close()
        pair.near.close()
        await asyncio.gather(*calls, return_exceptions=True)
        for one in sent:
            os.close(one)
        await asyncio.sleep(0.01)
        assert open_descriptors() == before - 2

    play(story)


def test_closing_twice_is_closing_once() -> None:
    async def story(pair: Pair) -> None:
        pair.near.close()
        pair.near.close()
        await pair.near.closed

    play(story)


def test_an_answer_nobody_waits_for_is_passed_over() -> None:
    async def story(pair: Pair) -> None:
        await pair.far._send(message(77))
        assert await pair.near.request("echo", 1, int) == 1

    play(story)


def message(answers: int) -> Any:
    from salver.processes.channel import Message

    return Message(0, answers, "echo", msgspec.Raw(msgspec.msgpack.encode(1)))
