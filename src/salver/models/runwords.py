"""What is said of how a version is run beside its model.toml: by an archive's own settings, by a start-up line.

Pure. model.toml wins over the archive's settings, these over the start-up line, and that over the server's settings.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec.structs import replace

from salver.models.manifest import Manifest

T = TypeVar("T")

USUAL_DELAY_MS = 100.0
"""How long the servers of model archives wait for a batch when nobody says."""


class RunWords(msgspec.Struct, frozen=True, kw_only=True):
    """None: nothing is said."""

    replicas: int | None = None
    max_batch_rows: int | None = None
    max_batch_delay_ms: float | None = None
    max_queue_rows: int | None = None
    deadline_s: float | None = None
    handler: str | None = None

    def under(self, manifest: Manifest) -> Manifest:
        """The manifest, with these words where it says nothing."""
        batching = manifest.batching
        rows = _first(batching.max_batch_rows, self.max_batch_rows)
        delay_ms = _first(batching.max_batch_delay_ms, self.max_batch_delay_ms)
        if self.max_batch_rows is not None and self.max_batch_rows > 1 and delay_ms is None:
            delay_ms = USUAL_DELAY_MS
        return replace(
            manifest,
            handler=_first(manifest.handler, self.handler),
            replicas=_first(manifest.replicas, self.replicas),
            deadline_s=_first(manifest.deadline_s, self.deadline_s),
            batching=replace(
                batching,
                max_batch_rows=rows,
                max_batch_delay_ms=delay_ms,
                max_queue_rows=_first(batching.max_queue_rows, self.max_queue_rows),
            ),
        )


def _first(value: T | None, default: T | None) -> T | None:
    return default if value is None else value
