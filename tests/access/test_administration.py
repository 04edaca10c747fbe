"""What the operations on keys and the audit log do."""

from __future__ import annotations

from math import nan
from typing import Any

import pytest

from salver.access.administration import DAY_S, Administration
from salver.access.audit import AuditEvent, audit_line
from salver.access.keys import KeyRing
from salver.access.permit import Principal, local_admin
from salver.errors import Code, RequestError
from salver.store.memory import MemoryStore

NOW = 1_000_000.0
ADMIN = local_admin(0)


@pytest.fixture
def administration() -> Administration:
    return Administration(MemoryStore(), clock=lambda: NOW)


def create(administration: Administration, creator: Principal = ADMIN, **wishes: Any) -> str:
    key, _ = administration.create_key(creator, **{"label": "tests", "role": "user", **wishes})
    return key


def test_a_new_key_works_and_is_listed_without_its_text(administration: Administration) -> None:
    text, record = administration.create_key(ADMIN, label="shop", role="user", models=("iris",), requests_per_second=5)

    assert administration.keys() == (record,)
    principal = KeyRing(administration.keys()).find(text, NOW)
    assert principal == Principal(
        id=f"key:{record.id}", role="user", models=("iris",), requests_per_second=5, is_lasting=False
    )
    assert (record.label, record.created_by, record.created_at) == ("shop", "local:0", NOW)


def test_a_key_ends_after_ninety_days_unless_told_otherwise(administration: Administration) -> None:
    create(administration)
    create(administration, expires_in_days=0.5)
    create(administration, expires_in_days=None)

    made = administration.keys()
    assert {record.expires_at for record in made} == {NOW + 90 * DAY_S, NOW + DAY_S / 2, None}


def test_a_revoked_key_stops_working(administration: Administration) -> None:
    key = create(administration)
    (record,) = administration.keys()

    revoked = administration.revoke_key(record.id)

    assert revoked.revoked_at == NOW
    assert administration.revoke_key(record.id) == revoked
    assert KeyRing(administration.keys()).find(key, NOW) is None


def test_revoking_a_key_that_is_not_there_says_so(administration: Administration) -> None:
    with pytest.raises(RequestError) as refused:
        administration.revoke_key("nothing")

    assert refused.value.code is Code.INVALID_INPUT
    assert refused.value.message == "There is no key with the id 'nothing'."


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"label": ""}, "label is not right"),
        ({"label": "x" * 101}, "label is not right"),
        ({"label": "a\nb"}, "label is not right"),
        (
            {"role": "root"},
            "role is not right: it must be one of viewer, user, developer, publisher, operator, renewer, admin.",
        ),
        ({"role": "anonymous"}, "role is not right"),
        ({"models": ("",)}, "models is not right"),
        ({"models": ("x" * 129,)}, "models is not right"),
        ({"models": ("m",) * 1001}, "models is not right"),
        ({"expires_in_days": 0.0}, "expires_in_days is not right"),
        ({"expires_in_days": 1e9}, "expires_in_days is not right"),
        ({"expires_in_days": nan}, "expires_in_days is not right"),
        ({"requests_per_second": -1.0}, "requests_per_second is not right"),
    ],
)
def test_a_key_that_makes_no_sense_is_not_made(
    administration: Administration, wishes: dict[str, Any], words: str
) -> None:
    with pytest.raises(RequestError) as refused:
        create(administration, **wishes)

    assert refused.value.code is Code.INVALID_INPUT
    assert words in refused.value.message
    assert administration.keys() == ()


def test_nobody_makes_a_key_with_more_rights_than_his_own(administration: Administration) -> None:
    creator = Principal(id="key:k", role="user", models=("iris",))

    with pytest.raises(RequestError) as refused:
        create(administration, creator, role="admin")

    assert refused.value.code is Code.PERMISSION_DENIED
    assert administration.keys() == ()


def test_the_audit_log_is_read_newest_first(administration: Administration) -> None:
    store = MemoryStore()
    for number in range(3):
        store.append_audit(audit_line(AuditEvent(principal=f"key:{number}", operation="o", outcome="OK"), NOW))

    lines = Administration(store).audit(2)

    assert [line.principal for line in lines] == ["key:2", "key:1"]


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_senseless_number_of_audit_lines_is_refused(administration: Administration, limit: int) -> None:
    with pytest.raises(RequestError) as refused:
        administration.audit(limit)

    assert refused.value.code is Code.INVALID_INPUT


def test_the_first_start_makes_an_admin_key_and_later_starts_none(administration: Administration) -> None:
    made = administration.make_first_key(ADMIN)

    assert made is not None
    key, record = made
    assert (record.role, record.label, record.created_by) == ("admin", "first run", "local:0")
    assert KeyRing(administration.keys()).find(key, NOW) is not None
    assert administration.make_first_key(ADMIN) is None
    assert len(administration.keys()) == 1
    (line,) = administration.audit(10)
    assert (line.principal, line.operation, line.detail) == ("local:0", "keys.create", f"first run key={record.id}")
