"""Functions that `jax.export` has serialized: a FlatBuffer without a mark of its own, and StableHLO in it."""

from __future__ import annotations

from salver.models.recognising.base import FileView, Recognition
from salver_worker.runtimes.specs import JAX

PROGRAM = b"ML\xefR"
DIALECT = b"StableHLO_v"
MAX_BYTES = 1024 * 1024
"""How far a program is looked for: what stands before it describes the arguments."""
MAX_TABLE_BYTES = 512


def recognise_jax(view: FileView, _function: str | None) -> Recognition | None:
    if not _begins_as_flatbuffer(view.head) or not _has_program(view):
        return None
    return Recognition(runtime="jax", artifact=view.path, trust="code", label="JAX function (jax.export)")


def _begins_as_flatbuffer(head: bytes) -> bool:
    """The first number leads to the root table, whose first number leads back to the table of its fields."""
    root = int.from_bytes(head[:4], "little")
    if not 4 <= root <= MAX_TABLE_BYTES or len(head) < root + 4:
        return False
    fields = root - int.from_bytes(head[root : root + 4], "little", signed=True)
    return 4 <= fields < root and 4 <= int.from_bytes(head[fields : fields + 2], "little") <= MAX_TABLE_BYTES


def _has_program(view: FileView) -> bool:
    with view.path.open("rb") as file:
        start = file.read(MAX_BYTES if view.ending in JAX.extensions else len(view.head))
    found = start.find(PROGRAM)
    return found >= 0 and DIALECT in start[found : found + 64]
