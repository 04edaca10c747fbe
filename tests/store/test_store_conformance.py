"""What every store promises, run on each of them."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec
import pytest

from salver.errors import Code, SalverError
from salver.store.base import AuditLine, KeyRecord, Store

MakeKey = Callable[..., KeyRecord]
MakeLine = Callable[..., AuditLine]


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.keys() == ()
    assert store.audit(10) == ()
    assert store.check_audit() is None
    assert store.get_value("anything") is None
    assert store.models() == ()
    assert store.versions() == ()


def test_a_key_comes_back_as_it_was_given(store: Store, key: MakeKey) -> None:
    plain = key("k1")
    full = key(
        "k2",
        label="Größe 'x'; --",
        role="admin",
        models=("iris", "wein,ä"),
        digest=bytes(range(32)),
        created_at=1000.123456789,
        expires_at=2000.987654321,
        revoked_at=1500.5,
        requests_per_second=0.1,
    )
    store.add_key(plain)
    store.add_key(full)

    assert store.keys() == (plain, full)


def test_keys_are_listed_oldest_first(store: Store, key: MakeKey) -> None:
    for id, at in (("late", 3000.0), ("early", 1000.0), ("b", 2000.0), ("a", 2000.0), ("B", 2000.0)):
        store.add_key(key(id, created_at=at))

    listed = store.keys()
    assert [record.id for record in listed] == ["early", "B", "a", "b", "late"]


def test_an_id_is_taken_once(store: Store, key: MakeKey) -> None:
    store.add_key(key("k1"))

    with pytest.raises(SalverError) as refused:
        store.add_key(key("k1", label="another", digest=b"another"))

    assert refused.value.code is Code.CONFLICT
    assert store.keys() == (key("k1"),)


def test_a_revoked_key_keeps_its_first_time_of_revocation(store: Store, key: MakeKey) -> None:
    store.add_key(key("k1"))
    store.add_key(key("k2"))

    assert store.revoke_key("k1", 2000.0) == key("k1", revoked_at=2000.0)
    assert store.revoke_key("k1", 3000.0) == key("k1", revoked_at=2000.0)
    assert store.keys() == (key("k1", revoked_at=2000.0), key("k2"))


def test_revoking_what_is_not_there_changes_nothing(store: Store, key: MakeKey) -> None:
    store.add_key(key("k1"))

    assert store.revoke_key("k2", 2000.0) is None
    assert store.keys() == (key("k1"),)


def test_audit_lines_are_numbered_from_one_and_read_newest_first(store: Store, line: MakeLine) -> None:
    stored = [store.append_audit(line(f"line {number}")) for number in range(1, 6)]

    assert [each.sequence for each in stored] == [1, 2, 3, 4, 5]
    assert store.audit(3) == (stored[4], stored[3], stored[2])
    assert store.audit(100) == tuple(reversed(stored))


def test_a_stored_line_differs_in_number_and_digest_alone(store: Store, line: MakeLine) -> None:
    given = line("ünïcode 😀", sequence=77, digest="forged", at=1234.5678901234)
    stored = store.append_audit(given)

    assert msgspec.structs.replace(stored, sequence=77, digest="forged") == given
    assert len(stored.digest) == 64


def test_equal_lines_have_different_digests(store: Store, line: MakeLine) -> None:
    assert store.append_audit(line()).digest != store.append_audit(line()).digest


def test_the_chain_of_what_was_stored_is_whole(store: Store, line: MakeLine) -> None:
    for number in range(20):
        store.append_audit(line(f"line {number}", at=1000.0 + number / 3))

    assert store.check_audit() is None


def test_values_are_kept_under_their_names(store: Store) -> None:
    store.set_value("a", "1")
    store.set_value("b", "2")
    store.set_value("a", "3")

    assert (store.get_value("a"), store.get_value("b"), store.get_value("c")) == ("3", "2", None)


def test_writers_in_several_threads_keep_the_chain_whole(store: Store, key: MakeKey, line: MakeLine) -> None:
    def write(name: str) -> None:
        for number in range(25):
            store.add_key(key(f"{name}{number}"))
            store.append_audit(line(name))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(store.keys()) == 100
    assert [each.sequence for each in store.audit(1000)] == list(range(100, 0, -1))
    assert store.check_audit() is None
