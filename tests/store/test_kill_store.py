"""What was acknowledged survives `kill -9`."""

from __future__ import annotations

import random
import subprocess
import sys

from salver.store.sql import open_store

WRITER = """
import sys
from salver.access.audit import AuditEvent, audit_line
from salver.access.keys import KeyRights, new_key
from salver.store.sql import open_store

store = open_store(sys.argv[1])
while True:
    _, record = new_key(KeyRights(label="kill", role="user"), created_by="local:0", now=0.0)
    store.add_key(record)
    store.append_audit(audit_line(AuditEvent(principal="local:0", operation="keys.create", outcome="OK"), 0.0))
    print(record.id, flush=True)
"""


def write_until_killed(location: str, keys: int) -> list[str]:
    """The ids that a writer acknowledged before it was killed, at some moment after the first `keys` of them."""
    with subprocess.Popen([sys.executable, "-c", WRITER, location], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        ids = [writer.stdout.readline().strip() for _ in range(keys)]
        writer.kill()
        rest = writer.stdout.read().splitlines(keepends=True)
    return ids + [id.strip() for id in rest if id.endswith("\n")]


def test_every_acknowledged_key_is_there_after_kill_nine(location: str) -> None:
    chance = random.Random(4)
    acknowledged: list[str] = []

    for _ in range(3):
        acknowledged += write_until_killed(location, chance.randrange(1, 60))
        store = open_store(location)
        keys = store.keys()
        stored = {record.id for record in keys}
        newest = store.audit(1)[0].sequence
        broken = store.check_audit()
        store.close()

        assert set(acknowledged) <= stored
        assert len(stored) <= len(acknowledged) + 3
        assert len(acknowledged) <= newest <= len(stored)
        assert broken is None
