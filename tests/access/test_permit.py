"""Whether a caller may do a thing, and how a refusal reads."""

from __future__ import annotations

import pytest

from salver.access.actions import REACH_OF
from salver.access.permit import (
    ANYONE,
    Principal,
    denial,
    is_allowed,
    local_admin,
    may_grant,
    model_not_found,
    visible,
)
from salver.access.roles import GRANTS, ROLES
from salver.errors import Code


def caller(role: str = "user", *models: str) -> Principal:
    return Principal(id="key:k", role=role, models=models)


@pytest.mark.parametrize("role", [role.name for role in ROLES])
@pytest.mark.parametrize("permission", REACH_OF)
def test_an_unlimited_caller_may_do_what_its_role_grants_and_nothing_else(role: str, permission: str) -> None:
    assert is_allowed(caller(role), permission, "iris") == (permission in GRANTS[role])


def test_what_needs_no_permission_is_everybodys() -> None:
    assert is_allowed(caller("no such role"), None)


def test_an_unknown_role_may_do_nothing() -> None:
    assert not any(is_allowed(caller("root"), permission, "iris") for permission in REACH_OF)


def test_an_unknown_permission_is_nobodys() -> None:
    assert not is_allowed(caller("admin"), "server.halt")


def test_the_user_who_owns_the_server_is_admin() -> None:
    assert local_admin(1000).id == "local:1000"
    assert is_allowed(local_admin(1000), "keys.create")


@pytest.mark.parametrize(
    ("permission", "model", "expected"),
    [
        ("models.predict", "iris", True),
        ("models.predict", "wine", False),
        ("models.predict", "", False),
        ("models.get", "iris", True),
        ("models.get", "iri", False),
        ("models.list", "", True),
        ("metrics.read", "", False),
        ("metrics.read", "iris", False),
        ("keys.create", "", False),
    ],
)
def test_a_key_limited_to_models_stays_inside_them(permission: str, model: str, expected: bool) -> None:
    assert is_allowed(caller("admin", "iris", "digits"), permission, model) is expected


def test_a_list_shows_only_what_the_caller_may_see() -> None:
    names = ["digits", "iris", "wine"]

    assert visible(caller("user"), names) == ("digits", "iris", "wine")
    assert visible(caller("user", "wine", "digits"), names) == ("digits", "wine")
    assert visible(caller("no such role"), names) == ()


@pytest.mark.parametrize(
    ("granter", "role", "models", "expected"),
    [
        (caller("admin"), "admin", (), True),
        (caller("admin"), "user", ("iris",), True),
        (caller("user"), "viewer", (), True),
        (caller("user"), "admin", (), False),
        (caller("operator"), "user", (), False),
        (caller("no such role"), "viewer", (), False),
        (caller("admin", "iris"), "user", ("iris",), True),
        (caller("admin", "iris"), "user", ("iris", "wine"), False),
        (caller("admin", "iris"), "user", (), False),
    ],
)
def test_nobody_grants_what_he_lacks(granter: Principal, role: str, models: tuple[str, ...], expected: bool) -> None:
    assert may_grant(granter, role, models) is expected


def test_without_a_key_the_refusal_asks_for_one() -> None:
    error = denial(ANYONE, "keys.create")

    assert error.code is Code.UNAUTHENTICATED
    assert error.message == "keys.create needs a key, and this request has none."


def test_a_refusal_names_the_permission_that_the_role_lacks() -> None:
    error = denial(caller("viewer"), "models.predict", "iris")

    assert error.code is Code.PERMISSION_DENIED
    assert error.message == "The role viewer does not have the permission models.predict."


def test_a_refusal_says_when_the_limit_to_models_is_the_reason() -> None:
    error = denial(caller("admin", "iris"), "keys.create")

    assert error.code is Code.PERMISSION_DENIED
    assert error.message == "keys.create is about the whole server, and this key is limited to some models."


def test_a_model_one_may_not_see_is_refused_like_one_that_is_not_there() -> None:
    hidden, absent = denial(caller("user", "iris"), "models.predict", "wine"), model_not_found("wine")

    assert (hidden.code, hidden.message, hidden.fix) == (absent.code, absent.message, absent.fix)
    assert hidden.code is Code.MODEL_NOT_FOUND
    assert hidden.log_detail == absent.log_detail


def test_a_limited_caller_without_the_permission_hears_so_for_its_own_models() -> None:
    assert denial(caller("viewer", "iris"), "models.predict", "iris").code is Code.PERMISSION_DENIED
