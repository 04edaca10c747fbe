"""The results of operations as the documents of this wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from salver.operations.access import CreatedKey
from salver.operations.server import HealthReport
from salver.store.base import AuditLine, KeyRecord
from salver.types import ModelRoute, ModelStatus, ReplicaStatus, Scale, VersionPolicy, VersionStatus
from salver.wire.native.documents import (
    AuditDocument,
    AuditLineDocument,
    CreatedKeyDocument,
    KeyDocument,
    KeysDocument,
    ModelDocument,
    ModelsDocument,
    ModelSummary,
    PolicyDocument,
    ReadyDocument,
    ReplicaDocument,
    RouteDocument,
    ScaleDocument,
    VersionDocument,
    VersionSummary,
)
from salver.wire.native.errors import printable


def moment(seconds: float) -> datetime:
    """A time since the epoch as a UTC date and time."""
    return datetime.fromtimestamp(seconds, UTC)


def moment_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else moment(seconds)


def ready_document(report: HealthReport) -> ReadyDocument:
    return ReadyDocument(
        ready=report.is_ready,
        reasons=tuple(map(printable, report.reasons)),
        replicas_ready=report.replicas_ready,
        replicas_wanted=report.replicas_wanted,
    )


def models_document(models: tuple[ModelStatus, ...]) -> ModelsDocument:
    return ModelsDocument(models=tuple(map(model_summary, models)))


def model_summary(model: ModelStatus) -> ModelSummary:
    return ModelSummary(
        name=model.name,
        default_version=model.default_version,
        labels=model.labels,
        route=route_document(model.route),
        versions=tuple(map(version_summary, model.versions)),
    )


def version_summary(version: VersionStatus) -> VersionSummary:
    return VersionSummary(
        version=version.id.version,
        state=version.state,
        runtime=version.runtime,
        replicas_ready=version.replicas_ready,
        replicas_wanted=version.replicas_wanted,
        reason=printable(version.reason),
    )


def model_document(model: ModelStatus) -> ModelDocument:
    return ModelDocument(
        name=model.name,
        default_version=model.default_version,
        labels=model.labels,
        route=route_document(model.route),
        policy=policy_document(model.policy),
        scale=scale_document(model.scale),
        versions=tuple(map(version_document, model.versions)),
    )


def route_document(route: ModelRoute | None) -> RouteDocument | None:
    return None if route is None else RouteDocument(weights=route.weights, sticky=printable(route.sticky))


def policy_document(policy: VersionPolicy) -> PolicyDocument:
    return PolicyDocument(policy=policy.kind, count=policy.count, versions=policy.versions, preserve=policy.preserve)


def scale_document(scale: Scale) -> ScaleDocument:
    return ScaleDocument(
        replicas=scale.replicas,
        min_replicas=scale.min_replicas,
        max_replicas=scale.max_replicas,
        on_demand=scale.is_on_demand,
        idle_unload_s=scale.idle_unload_s,
        pinned=scale.is_pinned,
    )


def version_document(version: VersionStatus) -> VersionDocument:
    info = version.info
    return VersionDocument(
        version=version.id.version,
        state=version.state,
        runtime=version.runtime,
        replicas_ready=version.replicas_ready,
        replicas_wanted=version.replicas_wanted,
        reason=printable(version.reason),
        fix=printable(version.fix),
        description=info.description if info else "",
        source=printable(version.source),
        environment=printable(version.environment),
        payload=info.payload if info else None,
        signatures=info.signatures if info else {},
        batching=info.batching if info else None,
        deadline_s=info.deadline_s if info else None,
        details=info.details if info else {},
        replicas=tuple(map(replica_document, version.replicas)),
        log_tail=tuple(map(printable, version.log_tail)),
    )


def replica_document(replica: ReplicaStatus) -> ReplicaDocument:
    return ReplicaDocument(
        id=replica.id,
        pid=replica.pid,
        state=replica.state,
        started_at=moment(replica.started_at),
        restarts=replica.restarts,
        rss_bytes=replica.rss_bytes,
        reason=printable(replica.reason),
    )


def key_document(record: KeyRecord) -> KeyDocument:
    return KeyDocument(
        id=record.id,
        label=record.label,
        role=record.role,
        models=record.models,
        created_at=moment(record.created_at),
        created_by=record.created_by,
        expires_at=moment_or_none(record.expires_at),
        revoked_at=moment_or_none(record.revoked_at),
        requests_per_second=record.requests_per_second,
    )


def keys_document(records: tuple[KeyRecord, ...]) -> KeysDocument:
    return KeysDocument(keys=tuple(map(key_document, records)))


def created_key_document(created: CreatedKey) -> CreatedKeyDocument:
    return CreatedKeyDocument(key=created.key, **msgspec.structs.asdict(key_document(created.record)))


def audit_document(lines: tuple[AuditLine, ...]) -> AuditDocument:
    return AuditDocument(lines=tuple(map(audit_line_document, lines)))


def audit_line_document(line: AuditLine) -> AuditLineDocument:
    decision: Literal["allowed", "denied"] = "denied" if line.decision == "denied" else "allowed"
    return AuditLineDocument(
        sequence=line.sequence,
        at=moment(line.at),
        principal=printable(line.principal),
        operation=line.operation,
        scope=printable(line.scope),
        decision=decision,
        outcome=line.outcome,
        request_id=printable(line.request_id),
        peer=line.peer,
        detail=printable(line.detail),
        digest=line.digest,
    )
