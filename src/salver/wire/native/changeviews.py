"""The results of changes as the documents of this wire."""

from __future__ import annotations

from salver.operations import models
from salver.types import VersionFailure, VersionPolicy
from salver.wire.native.changedocuments import (
    FailureDocument,
    OutcomeDocument,
    PolicyRequest,
    StoredVersionDocument,
    VersionsDocument,
)
from salver.wire.native.errors import printable
from salver.wire.native.views import model_document, moment


def outcome_document(outcome: models.Outcome) -> OutcomeDocument:
    return OutcomeDocument(
        model=outcome.model,
        version=outcome.version,
        digest=outcome.digest,
        plan=outcome.is_plan,
        steps=tuple(map(printable, outcome.plan.steps)),
        warnings=tuple(map(printable, outcome.plan.warnings)),
        revision=outcome.revision,
        settled=outcome.is_settled,
        now=None if outcome.now is None else model_document(outcome.now),
    )


def versions_document(found: models.VersionList) -> VersionsDocument:
    return VersionsDocument(
        model=found.model, revision=found.revision, versions=tuple(map(stored_version_document, found.versions))
    )


def stored_version_document(version: models.StoredVersion) -> StoredVersionDocument:
    return StoredVersionDocument(
        version=version.version,
        state=version.state,
        default=version.is_default,
        labels=version.labels,
        weight=version.weight,
        source=printable(version.source),
        digest=version.digest,
        size_bytes=version.size_bytes,
        created_at=moment(version.created_at) if version.digest else None,
        created_by=version.created_by,
        failure=None if version.failure is None else failure_document(version.failure),
        reason=printable(version.reason),
    )


def failure_document(failure: VersionFailure) -> FailureDocument:
    return FailureDocument(
        code=failure.code,
        message=printable(failure.message),
        fix=printable(failure.fix),
        exception=printable(failure.exception),
        log_tail=tuple(map(printable, failure.log_tail)),
        at=moment(failure.at),
    )


def policy_of(wanted: PolicyRequest) -> VersionPolicy:
    return VersionPolicy(kind=wanted.policy, count=wanted.count, versions=wanted.versions, preserve=wanted.preserve)
