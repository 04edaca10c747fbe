"""Long work on the disk, in threads that stand back."""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import pytest

from salver.models.background import NICENESS, in_background


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.skipif(sys.platform != "linux", reason="threads with a priority of their own are Linux's")
def test_it_stands_back_behind_the_loop() -> None:
    async def both() -> tuple[int, int]:
        return niceness(), await in_background(niceness)

    own, theirs = asyncio.run(both())
    assert theirs == min(own + NICENESS, 19)


def test_what_it_gives_and_raises_comes_back() -> None:
    assert asyncio.run(in_background(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_background(divmod, 7, 0))
