"""Asks an interpreter what it is: a short program, run once, that prints lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from salver.errors import LoadError


async def told_by(
    command: Sequence[str], variables: Mapping[str, str], limit_s: float, say_why: Callable[[str], LoadError]
) -> list[str]:
    """The lines that it printed. Raises what `say_why` makes of a reason: no such program, no answer, a bad status."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=variables,
        )
    except OSError as error:
        raise say_why(error.strerror or str(error)) from error
    try:
        async with asyncio.timeout(limit_s):
            told, _ = await process.communicate()
    except TimeoutError:
        raise say_why(f"it said nothing in {limit_s:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise say_why(f"it ended with status {process.returncode}")
    return told.decode(errors="replace").splitlines()
