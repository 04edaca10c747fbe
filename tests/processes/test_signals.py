"""Signals that end the server."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from salver.processes.signals import StopSignals
from virtual_time import run, settle


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")])
def test_the_first_signal_is_the_reason_for_an_orderly_end(number: signal.Signals, name: str) -> None:
    async def story() -> None:
        signals = StopSignals(asyncio.get_running_loop())
        waiting = asyncio.ensure_future(signals.wait())
        await settle()
        assert not waiting.done()
        signal.raise_signal(number)
        assert await waiting == f"{name} was received"

    run(story())


def test_the_second_signal_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "_exit", sys.exit)

    async def story() -> None:
        signals = StopSignals(asyncio.get_running_loop())
        signal.raise_signal(signal.SIGTERM)
        await signals.wait()
        signal.raise_signal(signal.SIGINT)
        await settle()

    with pytest.raises(SystemExit) as caught:
        run(story())
    assert caught.value.code == 128 + signal.SIGINT


def test_work_goes_on_until_it_is_done() -> None:
    async def story() -> None:
        signals = StopSignals(asyncio.get_running_loop())
        assert await signals.allow(asyncio.sleep(100)) is True

    run(story())


def test_work_that_fails_says_so() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def story() -> None:
        with pytest.raises(ZeroDivisionError):
            await StopSignals(asyncio.get_running_loop()).allow(fail())

    run(story())


def test_a_signal_ends_work_and_waits_for_what_it_has_to_put_away() -> None:
    put_away: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            put_away.append("done")

    async def story() -> None:
        signals = StopSignals(asyncio.get_running_loop())
        asyncio.get_running_loop().call_later(10, signal.raise_signal, signal.SIGTERM)
        assert await signals.allow(work()) is False
        assert put_away == ["done"]
        assert await signals.wait() == "SIGTERM was received"

    run(story())
