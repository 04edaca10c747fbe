"""The settings of models: where they come from, and how much they may be."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where models come from besides the command line, and how their folders are watched."""

    watch_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How often folders of models and remotes are looked at for new versions; 0 looks at the start only."""
    quiet_s: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    """How long a version's files must stay as they are before it counts; a half-copied folder is never loaded."""
    memory_budget_mb: Annotated[int, msgspec.Meta(ge=0)] = 0
    """What the workers of all models may hold together, in MiB, when one is loaded on demand; 0 sets no bound."""
    model_store: str = ""
    """Folder from which models may be registered by name, as clients of MMS do; none unless it is given."""
    model_roots: tuple[str, ...] = ()
    """Folders, and prefixes in buckets (`s3://bucket/path`), below which a configuration that comes over the network
    may name models; those around the command line's own models are always among them."""
    remotes: tuple[str, ...] = ()
    """Places to fetch models from, as `zoo=https://host/path` or `lake=s3://bucket/prefix endpoint=https://host`."""
    allow_urls: bool = False
    """Let models be published from any https address with a digest, not from `remotes` alone."""
    max_artefact_gb: Annotated[int, msgspec.Meta(ge=1)] = 1024
    """Most that one artefact may be, in units of 1024 x 1024 x 1024 bytes."""
    max_artefact_files: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Most files and folders in one artefact."""
