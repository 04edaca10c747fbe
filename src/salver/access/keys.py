"""API keys: their form, how they are made, and the look-up that the prediction lane uses.

A key reads `msk_<id>_<secret>_<checksum>`. The id is public: it names the key in lists, logs and metrics. The secret is
32 random bytes. The checksum (CRC-32 of all before it) lets a scanner know a key, and shows a typing error, without the
server. Only the SHA-256 digest of the whole text is kept; a secret of 256 random bits needs no slow hash.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Callable, Iterable
from hmac import compare_digest
from math import inf

import msgspec

from salver.access.permit import Principal
from salver.store.base import KeyRecord

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ID_LENGTH = 10
_SECRET_LENGTH = 43  # 32 bytes in base 62
_CHECKSUM_LENGTH = 6  # 32 bits in base 62
_FORM = re.compile(
    rf"(msk_([0-9a-z]{{{_ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}})_([0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_ID_PLACE = slice(4, 4 + _ID_LENGTH)


class KeyRights(msgspec.Struct, frozen=True, kw_only=True):
    """What a key is for: a label for people, a role, its models (empty: all), its end and its budget."""

    label: str
    role: str
    models: tuple[str, ...] = ()
    expires_at: float | None = None
    requests_per_second: float | None = None


def new_key(
    rights: KeyRights, *, created_by: str, now: float, entropy: Callable[[int], bytes] = secrets.token_bytes
) -> tuple[str, KeyRecord]:
    """A new key's text, to be shown once, and what may be stored of it. `now` is wall-clock time."""
    id = _encode(int.from_bytes(entropy(8)), _ID_LENGTH, base=36)
    text = f"msk_{id}_{_encode(int.from_bytes(entropy(32)), _SECRET_LENGTH)}"
    text = f"{text}_{_checksum(text)}"
    record = KeyRecord(
        id=id,
        label=rights.label,
        role=rights.role,
        models=rights.models,
        digest=digest_of(text),
        created_at=now,
        created_by=created_by,
        expires_at=rights.expires_at,
        requests_per_second=rights.requests_per_second,
    )
    return text, record


def digest_of(text: str) -> bytes:
    """What is stored of a key. Text that no key can be (outside ASCII) still gets a digest, which then fits no key."""
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def parse(text: str) -> str | None:
    """The id that a well-formed key claims (nothing proves it yet), or None when the form or the checksum is wrong."""
    match = _FORM.fullmatch(text)
    if match is None or match[3] != _checksum(match[1]):
        return None
    return match[2]


class KeyRing:
    """All keys, for look-ups in memory. It never changes: when a key is made or revoked, a new ring takes its place."""

    __slots__ = ("_live", "_records")

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        self._records = {record.id: record for record in records}
        self._live = {
            record.id: (record.digest, inf if record.expires_at is None else record.expires_at, _principal(record))
            for record in self._records.values()
            if record.revoked_at is None
        }

    def __len__(self) -> int:
        return len(self._records)

    def find(self, token: str, now: float) -> Principal | None:
        """Whose key this is, or None when it is nobody's, revoked or expired at `now` (wall-clock time)."""
        found = self._live.get(token[_ID_PLACE])
        if found is None:
            return None
        digest, expires_at, principal = found
        if now < expires_at and compare_digest(digest, digest_of(token)):
            return principal
        return None

    def refusal(self, token: str) -> str:
        """Why `find` had no principal for the token, in a sentence that never repeats it.

        Only who has the very key learns that it is revoked or expired; all others hear that it is unknown.
        """
        if _FORM.fullmatch(token) is None:
            return "What was sent is not a whole key: a key looks like msk_<id>_<secret>_<checksum>."
        id = parse(token)
        if id is None:
            return "The key is mistyped: its checksum does not fit."
        record = self._records.get(id)
        if record is None or not compare_digest(record.digest, digest_of(token)):
            return "This server does not know the key."
        return f"The key {id} was revoked." if record.revoked_at is not None else f"The key {id} has expired."


def _principal(record: KeyRecord) -> Principal:
    return Principal(
        id=f"key:{record.id}",
        role=record.role,
        models=record.models,
        requests_per_second=record.requests_per_second,
        is_lasting=record.expires_at is None,
    )


def _checksum(text: str) -> str:
    return _encode(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _encode(number: int, length: int, base: int = len(_DIGITS)) -> str:
    """The lowest `length` digits of the number, highest first."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, base)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
