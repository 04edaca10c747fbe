"""The JSON documents of the management addresses. The OpenAPI document's schemas are derived from these types."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

import msgspec

from salver.errors import Code
from salver.types import BatchSettings, PayloadKind, PolicyKind, Preserve, Signature, VersionState

Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time in UTC, written as RFC 3339 has it: 2026-01-31T08:00:00Z."""


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, what mends it, and the id under which the server's log tells more."""

    code: Code
    message: str
    fix: str
    request_id: str


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer with a status of 400 and above."""

    error: ErrorDetail


class LiveDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the server runs at all."""

    live: bool


class ReadyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every wanted model can answer; `reasons` has a line for each thing that is missing."""

    ready: bool
    reasons: tuple[str, ...]
    replicas_ready: int
    replicas_wanted: int


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One version in the list of models."""

    version: int
    state: VersionState
    runtime: str
    replicas_ready: int
    replicas_wanted: int
    reason: str


class RouteDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions answer requests that name none, by weight; `sticky` says what keeps a caller with one."""

    weights: dict[int, int]
    sticky: str


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions are loaded, and what a switch keeps: answers (availability) or memory (resources)."""

    policy: PolicyKind
    count: int
    versions: tuple[int, ...]
    preserve: Preserve


class ScaleDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How many replicas each version has (null: as model.toml says), and whether it may sleep."""

    replicas: int | None
    min_replicas: int
    max_replicas: int | None
    on_demand: bool
    idle_unload_s: float | None
    pinned: bool


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One model in the list of models; versions highest first."""

    name: str
    default_version: int | None
    labels: dict[str, int]
    route: RouteDocument | None
    versions: tuple[VersionSummary, ...]


class ModelsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller may see of what is served, by name."""

    models: tuple[ModelSummary, ...]


class ReplicaDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One worker process of a version."""

    id: str
    pid: int | None
    state: str
    started_at: Moment
    restarts: int
    rss_bytes: int
    reason: str


class VersionDocument(VersionSummary, frozen=True, kw_only=True):
    """All there is to tell about one version. What only a loaded version can know is empty or null before that."""

    fix: str
    description: str
    source: str
    environment: str
    payload: PayloadKind | None
    signatures: dict[str, Signature]
    batching: BatchSettings | None
    deadline_s: float | None
    details: dict[str, str]
    replicas: tuple[ReplicaDocument, ...]
    log_tail: tuple[str, ...]


class ModelDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A model with its versions, highest first."""

    name: str
    default_version: int | None
    labels: dict[str, int]
    route: RouteDocument | None
    policy: PolicyDocument
    scale: ScaleDocument
    versions: tuple[VersionDocument, ...]


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key to make. No `models`: all models. `expires_in_days` null: never."""

    label: str
    role: str
    models: tuple[str, ...] = ()
    expires_in_days: float | None = 90.0
    requests_per_second: float | None = None


class KeyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key; the key itself is never shown again."""

    id: str
    label: str
    role: str
    models: tuple[str, ...]
    created_at: Moment
    created_by: str
    expires_at: Moment | None
    revoked_at: Moment | None
    requests_per_second: float | None


class CreatedKeyDocument(KeyDocument, frozen=True, kw_only=True):
    """A new key, shown this once."""

    key: str


class KeysDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All keys, revoked and expired ones too, oldest first."""

    keys: tuple[KeyDocument, ...]


class AuditLineDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the audit log; `digest` chains it to the line before."""

    sequence: int
    at: Moment
    principal: str
    operation: str
    scope: str
    decision: Literal["allowed", "denied"]
    outcome: str
    request_id: str
    peer: str
    detail: str
    digest: str


class AuditDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The newest lines, newest first."""

    lines: tuple[AuditLineDocument, ...]


class AddressDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One address that this port answers."""

    method: str
    path: str
    summary: str


class ServerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What answers at this port."""

    name: str
    version: str
    wires: tuple[str, ...]
    addresses: tuple[AddressDocument, ...]
