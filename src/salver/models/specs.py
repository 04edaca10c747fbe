"""From what was found to what is to run: the replicas of one version."""

from __future__ import annotations

import sys

from salver.models.sources import ModelSource
from salver.replicas.base import ReplicaSpec
from salver.types import BatchSettings


def replica_spec(source: ModelSource, *, threads: int, batching: BatchSettings, warm_up_rounds: int = 1) -> ReplicaSpec:
    """What model.toml leaves open is as the arguments say, and in the server's own Python."""
    manifest = source.manifest
    environment = manifest.environment
    return ReplicaSpec(
        id=source.id,
        runtime=source.recognition.runtime,
        path=str(source.recognition.artifact),
        folder=str(source.folder),
        manifest=source.worker_manifest(),
        python=environment.python or sys.executable,
        threads=environment.threads or threads,
        warm_up_rounds=warm_up_rounds,
        variables=environment.variables,
        replicas=manifest.replicas or 1,
        batching=manifest.batching.over(batching),
        deadline_s=manifest.deadline_s,
        is_idempotent=manifest.idempotent,
        description=manifest.description,
        details=source.details,
        labels={} if source.foreign is None else source.foreign.labels,
        config={} if source.declared is None else source.declared.config,
        source=source.source,
    )
