"""TorchServe's key file: keys for management and for inference with an end, and one that asks for new ones.

They are keys like any others, with roles, in the store and in the audit log; the file is how their bearers get them.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeAlias

from salver.access.administration import Administration
from salver.access.permit import Principal
from salver.errors import Code, StartupError
from salver.store.base import KeyRecord

Kind: TypeAlias = Literal["management", "inference", "API"]
ROLES: dict[Kind, str] = {"management": "operator", "inference": "user", "API": "renewer"}
LABEL = "key file: "
DAY_MIN = 24.0 * 60.0


class KeyFile:
    """Owned by the control half. Every method blocks for the disk."""

    def __init__(self, administration: Administration, owner: Principal, path: Path, *, valid_min: float) -> None:
        """`owner` is the server's own user, in whose name the keys are made."""
        self._administration = administration
        self._owner = owner
        self._path = path
        self._valid_min = valid_min
        self._document: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        """New keys, the old ones' end, and the file. Raises StartupError(SETTINGS_INVALID)."""
        for id in self._living(LABEL):
            self._administration.revoke_key(id)
        for kind in ROLES:
            self._make(kind)
        try:
            self._write()
        except OSError as error:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The key file {self._path} cannot be written: {error.strerror}.",
                fix="Choose another file with --token-file, or do without it.",
            ) from error

    def renew(self, kind: Kind) -> KeyRecord:
        """A new key for one purpose: the one before is revoked, and the file names the new one. Raises OSError."""
        old = self._living(LABEL + kind)
        made = self._make(kind)
        self._write()
        for id in old:
            self._administration.revoke_key(id)
        return made

    def _living(self, label: str) -> list[str]:
        """The ids of keys whose label begins so, and which are not revoked."""
        known = self._administration.keys()
        return [record.id for record in known if record.label.startswith(label) and record.revoked_at is None]

    def _make(self, kind: Kind) -> KeyRecord:
        days = None if kind == "API" else self._valid_min / DAY_MIN
        text, record = self._administration.create_key(
            self._owner, label=LABEL + kind, role=ROLES[kind], expires_in_days=days
        )
        self._document[kind] = {"key": text}
        if record.expires_at is not None:
            self._document[kind]["expiration time"] = _java_time(record.expires_at)
        return record

    def _write(self) -> None:
        """Whole or not at all, and for the server's own user alone."""
        unfinished = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self._document, file, indent=2)
        unfinished.replace(self._path)


def _java_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
