"""What the operations about keys and the audit log do: check what was asked, then read or change the store."""

from __future__ import annotations

import time
from collections.abc import Callable

from salver.access.audit import AuditEvent, audit_line
from salver.access.keys import KeyRights, new_key
from salver.access.permit import Principal, may_grant
from salver.access.roles import ADMIN, KEY_ROLES
from salver.errors import Code, RequestError
from salver.store.base import AuditLine, KeyRecord, Store

DEFAULT_EXPIRY_DAYS = 90.0
MAX_LABEL = 100
MAX_MODEL_NAME = 128
MAX_MODELS = 1000
MAX_EXPIRY_DAYS = 36_500.0
MAX_REQUESTS_PER_SECOND = 1_000_000.0
MAX_AUDIT_LINES = 10_000
DAY_S = 86_400.0

FIRST_RUN_VALUE = "first_run_key_id"


class Administration:
    """Keys and the audit log, on a store. Every method blocks for the disk: call it from a thread.

    Permission is the caller's affair, with one exception that needs the key's own contents: nobody makes a key with
    rights that he lacks. A change counts everywhere once a new `KeyRing` of `keys()` is in use.
    """

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def create_key(
        self,
        creator: Principal,
        *,
        label: str,
        role: str,
        models: tuple[str, ...] = (),
        expires_in_days: float | None = DEFAULT_EXPIRY_DAYS,
        requests_per_second: float | None = None,
    ) -> tuple[str, KeyRecord]:
        """A new key's text, which is kept nowhere, and its record.

        Raises RequestError: INVALID_INPUT, or PERMISSION_DENIED when the key could do what its creator may not.
        """
        _check_label(label)
        _check_role(role)
        _check_models(models)
        _check_positive("expires_in_days", expires_in_days, MAX_EXPIRY_DAYS)
        _check_positive("requests_per_second", requests_per_second, MAX_REQUESTS_PER_SECOND)
        if not may_grant(creator, role, models):
            raise RequestError(
                Code.PERMISSION_DENIED, f"A key with the role {role} would have rights that yours lacks."
            )
        now = self._clock()
        rights = KeyRights(
            label=label,
            role=role,
            models=models,
            expires_at=None if expires_in_days is None else now + expires_in_days * DAY_S,
            requests_per_second=requests_per_second,
        )
        text, record = new_key(rights, created_by=creator.id, now=now)
        self._store.add_key(record)
        return text, record

    def keys(self) -> tuple[KeyRecord, ...]:
        """All keys ever made, oldest first."""
        return self._store.keys()

    def revoke_key(self, id: str) -> KeyRecord:
        """The key's record as it stands now; a second revocation changes nothing.

        Raises RequestError(INVALID_INPUT) when there is no such key.
        """
        record = self._store.revoke_key(id, self._clock())
        if record is None:
            raise RequestError(
                Code.INVALID_INPUT, f"There is no key with the id {id!r}.", fix="`salver keys list` shows the ids."
            )
        return record

    def audit(self, limit: int) -> tuple[AuditLine, ...]:
        """The newest lines, newest first. Raises RequestError(INVALID_INPUT)."""
        if not 1 <= limit <= MAX_AUDIT_LINES:
            raise RequestError(
                Code.INVALID_INPUT,
                f"limit is {limit}; it must be from 1 to {MAX_AUDIT_LINES}.",
                fix="Choose a limit in that range.",
            )
        return self._store.audit(limit)

    def make_first_key(self, creator: Principal) -> tuple[str, KeyRecord] | None:
        """On a store's first start an admin key, to be printed once; None ever after. It has its line in the audit log.

        The key comes before the note that it was made: a crash between the two makes one more key at the next start,
        never none.
        """
        if self._store.get_value(FIRST_RUN_VALUE) is not None:
            return None
        text, record = self.create_key(creator, label="first run", role=ADMIN.name)
        event = AuditEvent(
            principal=creator.id, operation="keys.create", outcome="OK", detail=f"first run key={record.id}"
        )
        self._store.append_audit(audit_line(event, self._clock()))
        self._store.set_value(FIRST_RUN_VALUE, record.id)
        return text, record


def _check_label(label: str) -> None:
    if not _is_plain(label, MAX_LABEL):
        raise _invalid("label", f"it must be 1 to {MAX_LABEL} printable characters")


def _check_role(role: str) -> None:
    names = [row.name for row in KEY_ROLES]
    if role not in names:
        raise _invalid("role", f"it must be one of {', '.join(names)}")


def _check_models(models: tuple[str, ...]) -> None:
    if len(models) > MAX_MODELS or not all(_is_plain(model, MAX_MODEL_NAME) for model in models):
        raise _invalid("models", f"it must be at most {MAX_MODELS} names of models")


def _check_positive(name: str, value: float | None, highest: float) -> None:
    if value is not None and not 0 < value <= highest:
        raise _invalid(name, f"it must be more than 0 and at most {highest:g}")


def _is_plain(text: str, limit: int) -> bool:
    return 0 < len(text) <= limit and text.isprintable()


def _invalid(name: str, rule: str) -> RequestError:
    return RequestError(
        Code.INVALID_INPUT, f"{name} is not right: {rule}.", fix="Correct it and send the request again."
    )
