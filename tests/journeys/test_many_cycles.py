"""RELIABILITY T22: what is loaded and unloaded a thousand times leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from journey_load import ask
from journey_server import Server, eventually
from journey_versions import LONG, MODEL, Versions, versions
from journey_wires import WIRES

SHARE = 0.05
"""How much more there may be at the end than at the beginning."""


class Held(NamedTuple):
    """What a server holds at one moment."""

    resident_bytes: int
    descriptors: int
    threads: int
    processes: int
    files: int
    """In the data directory, but for the database's own."""
    shared_memory: int


def held(server: Server) -> Held:
    process = Path(f"/proc/{server.pid}")
    files = [path for path in server.data.rglob("*") if not path.name.startswith("state.db")]
    return Held(
        resident_bytes=server.resident_bytes(),
        descriptors=len(os.listdir(process / "fd")),
        threads=len(os.listdir(process / "task")),
        processes=len(server.processes()),
        files=len(files),
        shared_memory=sum(
            "memfd" in line or "/dev/shm" in line for line in (process / "maps").read_text().splitlines()
        ),
    )


def cycle(served: Versions, name: str, session: requests.Session) -> None:
    """Unloads and loads it, and asks once on every protocol."""
    served.client.unload(name, how=LONG)
    assert served.client.load(name, how=LONG).is_settled
    for wire in WIRES:
        assert ask(session, served.server.url, name, wire).kind == "right"


@pytest.mark.proof("T22")
@pytest.mark.slow
def test_loading_and_unloading_again_and_again_leaves_nothing_behind(tmp_path: Path, figure: Any, size: Any) -> None:
    cycles, warm_up = size(20, 1000), size(5, 50)
    with versions(tmp_path) as served, requests.Session() as session:
        served.push(1)
        for _ in range(warm_up):
            cycle(served, MODEL, session)
        before = at_rest(served.server)
        for _ in range(cycles):
            cycle(served, MODEL, session)
        eventually(lambda: served.states() == {1: "READY"}, 10, "the last one serves")
        after = at_rest(served.server)
        for name, first, last in zip(Held._fields, before, after, strict=True):
            assert last <= first * (1 + SHARE) + (0 if name != "resident_bytes" else size(2_000_000, 0)), (
                before,
                after,
            )
        figure(
            f"{cycles} cycles, {3 * cycles} requests, 0 lost; memory {before.resident_bytes / 1e6:.1f} MB before and "
            f"{after.resident_bytes / 1e6:.1f} MB after, descriptors {before.descriptors} and {after.descriptors}, "
            f"threads {before.threads} and {after.threads}, processes {before.processes} and {after.processes}, "
            f"files {before.files} and {after.files}"
        )


def at_rest(server: Server) -> Held:
    """Once two looks see the same processes and files."""
    looks = [held(server)]

    def is_at_rest() -> bool:
        looks.append(held(server))
        return looks[-1][1:] == looks[-2][1:]

    eventually(is_at_rest, 10, "nothing comes or goes")
    return looks[-1]
