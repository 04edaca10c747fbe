"""Requests that arrive in one turn of the loop, and what a front end says of them."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

WIRES = ["native", "tfserving", "openinference"]
TWO = WIRES[:2]


class Burst:
    """Clients whose requests arrive in one turn of the loop, with heads that the server has met before."""

    def __init__(self, server: Any, connect: Any) -> None:
        self.server = server
        self.connect = connect
        self._known: set[bytes] = set()

    def __call__(self, *raws: bytes) -> list[Any]:
        self.meet(*raws)
        clients = [self.connect(self.server) for _ in raws]
        names = {client.sock.getsockname() for client in clients}
        self.server.until(lambda: names <= connections(self.server).keys())
        return self.send(clients, raws)

    def meet(self, *raws: bytes) -> None:
        """Let the server get to know the heads."""
        for raw in raws:
            self._make_known(raw)

    def send(self, clients: list[Any], raws: Any) -> list[Any]:
        """While the loop looks on: it finds all of them when it looks for bytes again."""
        return self.server.on_loop(lambda: [client.send(raw) for client, raw in zip(clients, raws, strict=True)])

    def _make_known(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        if head in self._known:
            return
        self._known.add(head)
        client = self.connect(self.server)
        for _ in range(3):
            client.send(b"%b\r\n\r\n%b" % (head, body)).answer()
        client.close()


def connections(server: Any) -> dict[Any, Any]:
    """By the client's address."""
    return {each.transport.get_extra_info("peername"): each for each in server.edge.connections}


def queue_of(server: Any, model: str = "m") -> Any:
    (queue,) = [queue for id, queue in server.front_end.pipeline.queues.items() if id.model == model]
    return queue


def waiting(server: Any, model: str = "m") -> list[str]:
    """The kinds of tickets that wait."""
    return server.on_loop(lambda: [type(ticket).__name__ for ticket in queue_of(server, model)._waiting])


def codes(server: Any) -> Counter[str]:
    """What all predictions so far were counted as."""
    total: Counter[str] = server.on_loop(lambda: codes_now(server))
    return total


def after(server: Any, before: Counter[str], wanted: int) -> dict[str, int]:
    """What was counted since then, once it is so many."""
    server.until(lambda: sum(codes_now(server).values()) - sum(before.values()) >= wanted)
    return dict(codes(server) - before)


def codes_now(server: Any) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, count in server.front_end.counters.requests():
        total.update(count.codes)
    return total


def busy(server: Any, connect: Any, say: Any, model: str = "m") -> Any:
    """A request that keeps the worker, so that what comes next waits together."""
    server.workers[model].holds = True
    client = connect(server).send(say.predict(0, "X-Blocker: 1", model=model))
    server.until(lambda: server.workers[model].held != [])
    return client


def let_go(server: Any, model: str = "m") -> None:
    worker = server.workers[model]
    worker.holds = False
    server.on_loop(worker.let_go)


def same(answer: Any) -> tuple[int, dict[str, str], bytes]:
    """An answer without what is its own: id and date."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status, headers, re.sub(rb'"request_id":"[0-9a-f-]{36}"', b"", answer.body)


def serve(server: Any, say: Any, name: str, width: int = 2, replicas: int = 1, **changes: Any) -> list[Any]:
    workers = server.serve(say.version(name, width, **changes), replicas=replicas)
    server.workers[name] = workers[0]
    return workers


def post_rows(say: Any, values: list[float], wire: str, model: str = "m") -> bytes:
    path, body = say.question([[value, value] for value in values], wire, model)
    return say.post(path, body, "Content-Type: application/json")
