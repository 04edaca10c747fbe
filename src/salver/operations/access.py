"""Operations about who may do what."""

from __future__ import annotations

from typing import Literal

import msgspec

from salver.operations.base import Home, Operation, Scope
from salver.store.base import KeyRecord

KEYS_CREATE = Operation(
    name="keys.create",
    summary="Make an API key with a role; the key itself is shown once.",
    permission="keys.create",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)
KEYS_LIST = Operation(
    name="keys.list",
    summary="List the keys: id, role, scope, expiry; never the key itself.",
    permission="keys.list",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)
KEYS_REVOKE = Operation(
    name="keys.revoke",
    summary="Make a key invalid at once, everywhere.",
    permission="keys.revoke",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)
KEYS_RENEW = Operation(
    name="keys.renew",
    summary="Make a key of the key file anew; the one before is revoked.",
    permission="keys.renew",
    scope=Scope.SERVER,
    home=Home.CONTROL,
    changes_state=True,
)
AUDIT_READ = Operation(
    name="audit.read",
    summary="Read the audit log: who changed what, and who was refused.",
    permission="audit.read",
    scope=Scope.SERVER,
    home=Home.CONTROL,
)

OPERATIONS = (KEYS_CREATE, KEYS_LIST, KEYS_REVOKE, KEYS_RENEW, AUDIT_READ)


class CreateKey(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `keys.create`. The result is a CreatedKey."""

    label: str
    role: str
    models: tuple[str, ...] = ()
    """The models that the key may touch; empty: all."""
    expires_in_days: float | None = 90.0
    requests_per_second: float | None = None


class CreatedKey(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    record: KeyRecord


class ListKeys(msgspec.Struct, frozen=True):
    """Parameters of `keys.list`. The result is a tuple of KeyRecord."""


class RevokeKey(msgspec.Struct, frozen=True):
    """Parameters of `keys.revoke`. The result is the KeyRecord."""

    id: str


class RenewKey(msgspec.Struct, frozen=True):
    """Parameters of `keys.renew`. The result is the new key's KeyRecord; the key itself is in the file."""

    kind: Literal["management", "inference"]


class ReadAudit(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `audit.read`. The result is a tuple of AuditLine, newest first."""

    limit: int = 100
