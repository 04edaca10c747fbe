"""From what was found to what is to run, and what the user hears of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from salver.app.declared import declared, rows_for_worker
from salver.events import (
    EnvironmentBuilding,
    ModelFailed,
    ModelFound,
    ModelReady,
    ServerEvent,
)
from salver.models.sources import FailedSource, ModelSource
from salver.models.specs import replica_spec
from salver.models.states import SERVING
from salver.replicas.base import ReplicaSpec
from salver.settings import Settings
from salver.store.base import VersionRecord
from salver.types import BatchSettings, ModelVersion, PayloadKind, VersionState, VersionStatus
from salver_worker.runtimes.specs import SPECS

OnEvent = Callable[[ServerEvent], None]
BODY_RUNTIMES = frozenset(spec.name for spec in SPECS if spec.payload == PayloadKind.BODY.value)


def found_event(source: ModelSource, spec: ReplicaSpec) -> ModelFound:
    return ModelFound(
        name=source.name,
        version=source.version,
        runtime=source.recognition.runtime,
        source=source.source,
        environment=source.environment if spec.environment is None else spec.environment.label,
        label=source.recognition.label,
        notes=source.notes,
    )


def kept_event(spec: ReplicaSpec, stored: VersionRecord) -> ModelFound:
    """A version of the repository."""
    return ModelFound(
        name=stored.model,
        version=stored.version,
        runtime=spec.runtime,
        source=f"the repository ({stored.source})",
        environment=spec.python if spec.environment is None else spec.environment.label,
    )


def spec_of(source: ModelSource, settings: Settings) -> ReplicaSpec:
    """Handlers of other servers are given one request at a time unless their model.toml says more, as they expect."""
    serving = settings.serving
    batching = BatchSettings(
        max_batch_rows=1 if source.recognition.runtime in BODY_RUNTIMES else serving.max_batch_rows,
        max_batch_delay_s=serving.max_batch_delay_ms / 1000,
        max_queue_rows=serving.max_queue_rows,
    )
    replicas = settings.replicas
    spec = replica_spec(
        source,
        threads=replicas.threads,
        batching=batching,
        warm_up_rounds=replicas.warm_up_rounds,
        environments=settings.environments,
    )
    if spec.runtime not in BODY_RUNTIMES:
        return spec
    words = settings.torchserve
    archive = source.recognition.archive
    is_named = spec.manifest.get("handler") or (archive is not None and archive.handler)
    server = {
        "dialect": words.dialect,
        "decode_input": words.decode_input_request,
        "envelope": words.service_envelope,
        "handler": None if is_named else words.default_service_handler or None,
        "metrics": rows_for_worker(declared(words.metrics_config)),
    }
    return msgspec.structs.replace(spec, manifest={**spec.manifest, "server": server})


def unknown_status(failed: FailedSource) -> VersionStatus:
    """Something among other models that is none: told once, and not served."""
    return VersionStatus(
        id=ModelVersion(Path(failed.source).name, 0),
        state=VersionState.FAILED,
        runtime="",
        source=failed.source,
        environment="",
        replicas_wanted=0,
        reason=failed.error.message,
        fix=failed.error.fix,
    )


def tell(status: VersionStatus, on_event: OnEvent) -> None:
    if status.state in SERVING and status.info is not None:
        on_event(ModelReady(status=status, info=status.info))
    elif status.state is VersionState.BUILDING:
        on_event(EnvironmentBuilding(status=status))
    elif status.state in (VersionState.FAILED, VersionState.CRASHLOOP):
        on_event(ModelFailed(status=status))
