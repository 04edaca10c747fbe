"""Requests at a fixed rate, whether the last ones have been answered or not: what an overload really looks like."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from journey_load import Outcome
from journey_models import new_nonce, right_answer
from journey_wires import WIRES, Wire


class RawAnswer(NamedTuple):
    """An answer as it came over the socket; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connections:
    """Keep-alive connections to one server; a new one is opened when none is free."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, path: str, document: Any, headers: str = "") -> RawAnswer:
        if self._free:
            reader, writer = self._free.pop()
        else:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        body = json.dumps(document).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await read_answer(reader)
        if answer.headers.get("connection") == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return answer

    def close(self) -> None:
        for _, writer in self._free:
            writer.close()


async def read_answer(reader: asyncio.StreamReader) -> RawAnswer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()[:-1]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return RawAnswer(int(first.split()[1]), headers, body)


def all_at_once(url: str, requests: Sequence[tuple[str, Any]]) -> list[RawAnswer]:
    """Sends every request (path and document) on a connection of its own at the same moment; answers in order."""

    async def run() -> list[RawAnswer]:
        connections = Connections(url)
        answers = await asyncio.gather(*(connections.post(path, document) for path, document in requests))
        connections.close()
        return answers

    return asyncio.run(run())


def open_load(url: str, *, rate: float, seconds: float, act: str, deadline_ms: int) -> list[Outcome]:
    """Sends `rate` requests per second to the model `seven`, the three protocols in turn; all outcomes."""

    async def run() -> list[Outcome]:
        connections = Connections(url)
        begun_at = time.monotonic()
        tasks = []
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0.0, begun_at + number / rate - time.monotonic()))
            wire = WIRES[number % len(WIRES)]
            tasks.append(asyncio.ensure_future(_one(connections, wire, act, f"Salver-Deadline-Ms: {deadline_ms}\r\n")))
        outcomes = await asyncio.gather(*tasks)
        connections.close()
        return outcomes

    return asyncio.run(run())


async def _one(connections: Connections, wire: Wire, act: str, headers: str) -> Outcome:
    nonce = new_nonce()
    sent_at = time.monotonic()
    document = wire.body({"nonce": nonce, "act": act})
    answer = await connections.post(wire.address("seven"), document, headers)
    seconds = time.monotonic() - sent_at
    told = json.loads(answer.body)
    if answer.status == 200:
        kind = "right" if wire.row(told)["answer"] == right_answer(nonce) else "wrong"
    else:
        kind = f"{answer.status} {wire.error_code(told)}"
    return Outcome(kind, wire.name, sent_at, seconds, answer.headers.get("retry-after"))
