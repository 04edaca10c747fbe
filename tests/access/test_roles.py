"""The built-in roles."""

from __future__ import annotations

from salver.access.actions import REACH_OF
from salver.access.roles import ADMIN, ANONYMOUS, GRANTS, KEY_ROLES, ROLES

CHANGES = {"keys.create", "keys.revoke"}


def test_roles_have_names_of_their_own() -> None:
    assert len(GRANTS) == len(ROLES)


def test_a_role_grants_only_permissions_that_exist() -> None:
    for role in ROLES:
        assert role.permissions <= set(REACH_OF), role.name
        assert role.description


def test_the_admin_may_do_everything() -> None:
    assert ADMIN.permissions == set(REACH_OF)


def test_only_the_admin_changes_keys_and_reads_the_audit_log() -> None:
    for role in ROLES:
        if role is not ADMIN:
            assert not role.permissions & (CHANGES | {"keys.list", "audit.read"}), role.name


def test_who_only_looks_or_operates_may_not_predict() -> None:
    may_predict = {role.name for role in ROLES if "models.predict" in role.permissions}

    assert may_predict == {"user", "developer", "admin", "anonymous"}


def test_callers_without_a_key_have_a_role_that_no_key_has() -> None:
    assert ANONYMOUS not in KEY_ROLES
    assert ANONYMOUS.permissions == {"models.list", "models.get", "models.predict", "metrics.read"}
