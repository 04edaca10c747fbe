"""The form of keys, and finding a principal by one."""

from __future__ import annotations

import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.access.keys import KeyRights, KeyRing, digest_of, new_key, parse
from salver.access.permit import Principal
from salver.store.base import KeyRecord

NOW = 1_000_000.0


def make(**rights: object) -> tuple[str, KeyRecord]:
    return new_key(KeyRights(**{"label": "tests", "role": "user", **rights}), created_by="local:0", now=NOW)


def with_changed_letter(key: str, place: int) -> str:
    return key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :]


def test_a_key_has_a_prefix_a_public_id_a_secret_and_a_checksum() -> None:
    key, record = make()

    prefix, id, secret, checksum = key.split("_")
    assert (prefix, id) == ("msk", record.id)
    assert (len(secret), len(checksum)) == (43, 6)
    assert set(id + secret + checksum) <= set(string.ascii_letters + string.digits)


def test_a_record_holds_the_rights_and_a_digest_but_not_the_key() -> None:
    key, record = make(role="viewer", models=("iris",), expires_at=NOW + 5, requests_per_second=2.0)

    assert record == KeyRecord(
        id=record.id,
        label="tests",
        role="viewer",
        models=("iris",),
        digest=digest_of(key),
        created_at=NOW,
        created_by="local:0",
        expires_at=NOW + 5,
        requests_per_second=2.0,
    )
    assert key.split("_")[2] not in repr(record)


def test_all_of_the_random_bytes_are_in_the_secret() -> None:
    def key_of(secret: bytes) -> str:
        rights = KeyRights(label="x", role="user")
        return new_key(rights, created_by="x", now=NOW, entropy=lambda size: secret[:size])[0]

    lowest, highest = key_of(b"\0" * 32).split("_")[2], key_of(b"\xff" * 32).split("_")[2]

    assert lowest == "0" * 43
    digits = string.digits + string.ascii_lowercase + string.ascii_uppercase
    assert sum(digits.index(digit) * 62**place for place, digit in enumerate(reversed(highest))) == 2**256 - 1


def test_two_keys_differ() -> None:
    assert make()[0] != make()[0]


def test_parse_tells_the_id_that_a_key_claims() -> None:
    key, record = make()

    assert parse(key) == record.id


@given(st.integers(min_value=4))
def test_parse_refuses_a_key_with_one_wrong_letter(place: int) -> None:
    key, _ = make()

    assert parse(with_changed_letter(key, 4 + place % (len(key) - 4))) is None


@given(st.text())
def test_no_text_breaks_parsing_or_finding(text: str) -> None:
    ring = KeyRing([make()[1]])

    assert parse(text) is None
    assert ring.find(text, NOW) is None
    assert ring.refusal(text).startswith("What was sent is not a whole key")


def test_text_outside_unicode_is_no_key() -> None:
    key, record = make()

    assert KeyRing([record]).find(key[:20] + "\ud800" + key[21:], NOW) is None


def test_a_ring_finds_the_principal_of_a_key() -> None:
    key, record = make(role="viewer", models=("iris",), requests_per_second=3.0)

    assert KeyRing([make()[1], record]).find(key, NOW) == Principal(
        id=f"key:{record.id}", role="viewer", models=("iris",), requests_per_second=3.0
    )


def test_a_ring_counts_its_keys() -> None:
    assert len(KeyRing([make()[1], make()[1]])) == 2


def test_the_right_id_with_another_secret_is_nobody() -> None:
    key, record = make()
    other, _ = make()
    forged = key[:15] + other[15:]

    assert KeyRing([record]).find(forged, NOW) is None


def test_a_key_ends_at_its_expiry() -> None:
    key, record = make(expires_at=NOW + 10)
    ring = KeyRing([record])

    assert ring.find(key, NOW + 9.9) is not None
    assert ring.find(key, NOW + 10) is None
    assert ring.refusal(key) == f"The key {record.id} has expired."


def test_a_revoked_key_is_nobody_even_if_the_clock_steps_back() -> None:
    key, record = make()
    ring = KeyRing([msgspec.structs.replace(record, revoked_at=NOW)])

    assert ring.find(key, NOW - 100) is None
    assert ring.refusal(key) == f"The key {record.id} was revoked."


def test_a_refusal_tells_a_stranger_from_a_typing_error() -> None:
    key, record = make()
    stranger, _ = make()
    ring = KeyRing([record])

    assert ring.refusal(stranger) == "This server does not know the key."
    assert ring.refusal(with_changed_letter(key, 20)) == "The key is mistyped: its checksum does not fit."
    assert ring.refusal(key[:-1]).startswith("What was sent is not a whole key")


def test_only_the_holder_of_a_key_learns_that_it_was_revoked() -> None:
    _, record = make()
    ring = KeyRing([msgspec.structs.replace(record, revoked_at=NOW)])
    same_id = int(record.id, 36).to_bytes(8)
    forged, _ = new_key(
        KeyRights(label="x", role="user"),
        created_by="x",
        now=NOW,
        entropy=lambda size: same_id if size == 8 else b"x" * size,
    )

    assert parse(forged) == record.id
    assert ring.refusal(forged) == "This server does not know the key."


@pytest.mark.parametrize("position", ["first", "last"])
def test_a_refusal_never_repeats_the_key(position: str) -> None:
    key, record = make(expires_at=NOW)
    records = [record, make()[1]]
    ring = KeyRing(records if position == "first" else reversed(records))

    assert key not in ring.refusal(key)
    assert key.split("_")[2] not in ring.refusal(key)
