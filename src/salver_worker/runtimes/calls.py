"""Calls a model's function, plain or async."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Callable, Coroutine, Iterator, List, Mapping, Sequence

END = object()
"""Behind the last item."""


class PlainCalls:
    """Calls a plain function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def once(self, arguments: Mapping[str, Any]) -> Any:
        return self._function(**arguments)

    def for_each(self, rows: Sequence[Mapping[str, Any]]) -> List[Any]:
        """One result for each row, in order."""
        return [self._function(**row) for row in rows]

    def each(self, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """What the function yields."""
        yield from self._function(**arguments)

    def close(self) -> None:
        """Nothing to give back."""


class AsyncCalls:
    """Calls an async function on an event loop that lives as long as the model; the rows of a batch run together."""

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._function = function
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def once(self, arguments: Mapping[str, Any]) -> Any:
        return self._run(self._function(**arguments))

    def for_each(self, rows: Sequence[Mapping[str, Any]]) -> List[Any]:
        """One result for each row, in order. When one fails, the others are cancelled and awaited."""
        return list(self._run(self._all(rows)))

    def each(self, arguments: Mapping[str, Any]) -> Iterator[Any]:
        """What the function yields; given up early, it is closed."""
        given: Any = self._function(**arguments)
        try:
            while True:
                item = self._run(_next_of(given))
                if item is END:
                    return
                yield item
        finally:
            self._run(given.aclose())

    async def _all(self, rows: Sequence[Mapping[str, Any]]) -> List[Any]:
        tasks = [asyncio.ensure_future(self._function(**row)) for row in rows]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        task = self._loop.create_task(coroutine)
        try:
            return self._loop.run_until_complete(task)
        except BaseException:
            if not task.done():  # a cancelled batch leaves the loop before its task has ended
                task.cancel()
                self._loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
            raise

    def close(self) -> None:
        self._loop.close()


async def _next_of(items: AsyncIterator[Any]) -> Any:
    try:
        return await items.__anext__()
    except StopAsyncIteration:
        return END
