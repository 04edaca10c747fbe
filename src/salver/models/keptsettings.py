"""Settings that whoever registers an artefact gives with it."""

from __future__ import annotations

import msgspec


class ArtefactSettings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is kept with an artefact as its model.toml would say it; what is None is as it would be without."""

    handler: str | None = None
    max_batch_rows: int | None = None
    max_batch_delay_ms: float | None = None
    deadline_s: float | None = None
