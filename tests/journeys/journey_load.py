"""Clients that ask without a pause, and hold every answer to being right and their own."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import requests
from journey_models import new_nonce, right_answer
from journey_wires import WIRES, Wire

REFUSED_PAUSE_S = 0.02
"""A client that was refused does not come back at once."""


class Outcome(NamedTuple):
    """What became of one request. `kind`: "right", "wrong", a status with its code, or the exception's name."""

    kind: str
    wire: str
    sent_at: float
    """On the monotonic clock."""
    seconds: float
    retry_after: str | None = None
    pid: int = 0
    """The worker that answered."""
    version: int = 0
    """The version that answered, where the model says so."""


class Load:
    """Some clients with keep-alive connections, each over the three protocols in turn, until `stop`."""

    def __init__(self, url: str, model: str, *, clients: int, act: str = "", wires: tuple[Wire, ...] = WIRES) -> None:
        self.outcomes: list[Outcome] = []
        self._url = url
        self._model = model
        self._act = act
        self._wires = wires
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Returns when every request that was sent has its answer."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a request hangs"

    def _run(self, number: int) -> None:
        with requests.Session() as session:
            for wire in itertools.islice(itertools.cycle(self._wires), number, None):
                if self._stopping.is_set():
                    return
                outcome = ask(session, self._url, self._model, wire, act=self._act)
                self.outcomes.append(outcome)
                if outcome.kind != "right":
                    self._stopping.wait(REFUSED_PAUSE_S)

    def kinds(self) -> Counter[str]:
        return Counter(outcome.kind for outcome in self.outcomes)


@contextlib.contextmanager
def steady_load(
    url: str, model: str, *, clients: int = 4, act: str = "", wires: tuple[Wire, ...] = WIRES
) -> Iterator[Load]:
    """Load for as long as the block lasts; all answers are there when it ends."""
    load = Load(url, model, clients=clients, act=act, wires=wires)
    try:
        yield load
    finally:
        load.stop()


def ask(
    session: requests.Session, url: str, model: str, wire: Wire, *, act: str = "", headers: dict[str, str] | None = None
) -> Outcome:
    """One request with a nonce of its own."""
    nonce = new_nonce()
    values = {"nonce": nonce, "act": act}
    sent_at = time.monotonic()
    try:
        answer = session.post(url + wire.address(model), json=wire.body(values), timeout=30, headers=headers)
    except requests.RequestException as error:
        return Outcome(type(error).__name__, wire.name, sent_at, time.monotonic() - sent_at)
    seconds = time.monotonic() - sent_at
    if answer.status_code != 200:
        kind = f"{answer.status_code} {wire.error_code(answer.json())}"
        return Outcome(kind, wire.name, sent_at, seconds, answer.headers.get("Retry-After"))
    row: dict[str, Any] = wire.row(answer.json())
    kind = "right" if row["answer"] == right_answer(nonce) else "wrong"
    return Outcome(kind, wire.name, sent_at, seconds, pid=row["pid"], version=row.get("version", 0))


def quantile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
