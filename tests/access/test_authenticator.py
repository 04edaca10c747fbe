"""From what a door knows of a caller to a principal."""

from __future__ import annotations

import pytest

from salver.access.authenticator import Authenticator
from salver.access.base import AccessSettings
from salver.access.keys import KeyRights, KeyRing, new_key
from salver.errors import Code, RequestError
from salver.operations.base import Credentials

NOW = 1_000_000.0
SERVER_UID = 1234
KEY, RECORD = new_key(KeyRights(label="tests", role="viewer"), created_by="local:0", now=NOW)


def authenticator(anonymous: str = "loopback") -> Authenticator:
    return Authenticator(AccessSettings(anonymous=anonymous), server_uid=SERVER_UID, keys=KeyRing([RECORD]))


def caller(token: str | None = None, *, is_loopback: bool = False, local_uid: int | None = None) -> Credentials:
    return Credentials(token=token, peer="192.0.2.1", is_loopback=is_loopback, local_uid=local_uid)


def who(caller: Credentials, anonymous: str = "loopback") -> str:
    return authenticator(anonymous).identify(caller, NOW).id


def refusal(caller: Credentials, anonymous: str = "loopback") -> RequestError:
    with pytest.raises(RequestError) as refused:
        authenticator(anonymous).identify(caller, NOW)
    assert refused.value.code is Code.UNAUTHENTICATED
    return refused.value


@pytest.mark.parametrize("anonymous", ["loopback", "all", "none"])
def test_a_right_key_tells_who_calls(anonymous: str) -> None:
    assert who(caller(KEY), anonymous) == f"key:{RECORD.id}"


@pytest.mark.parametrize(
    ("anonymous", "is_loopback", "is_let_in"),
    [
        ("loopback", True, True),
        ("loopback", False, False),
        ("all", False, True),
        ("all", True, True),
        ("none", True, False),
        ("none", False, False),
    ],
)
def test_callers_without_a_key_are_let_in_as_the_setting_says(
    anonymous: str, is_loopback: bool, is_let_in: bool
) -> None:
    asking = caller(is_loopback=is_loopback)

    if is_let_in:
        assert who(asking, anonymous) == "anonymous"
    else:
        refusal(asking, anonymous)


@pytest.mark.parametrize("token", ["", "msk_", KEY[:-1], KEY.upper()], ids=["empty", "prefix", "cut", "upper case"])
@pytest.mark.parametrize("local_uid", [None, SERVER_UID])
def test_a_wrong_key_is_refused_even_where_none_is_needed(token: str, local_uid: int | None) -> None:
    refusal(caller(token, is_loopback=True, local_uid=local_uid), "all")


def test_a_key_counts_more_than_the_door_it_comes_through() -> None:
    assert who(caller(KEY, is_loopback=True, local_uid=SERVER_UID)) == f"key:{RECORD.id}"


@pytest.mark.parametrize("anonymous", ["loopback", "all", "none"])
@pytest.mark.parametrize("uid", [SERVER_UID, 0])
def test_the_servers_own_user_and_root_need_no_key_at_its_socket(uid: int, anonymous: str) -> None:
    assert who(caller(local_uid=uid, is_loopback=True), anonymous) == f"local:{uid}"


def test_another_user_at_the_socket_is_a_caller_like_any_other() -> None:
    assert who(caller(local_uid=999, is_loopback=True), "loopback") == "anonymous"
    refusal(caller(local_uid=999, is_loopback=True), "none")


def test_a_server_of_root_takes_root_alone_for_its_owner() -> None:
    by_root = Authenticator(AccessSettings(anonymous="none"), server_uid=0, keys=KeyRing([]))

    assert by_root.identify(caller(local_uid=0), NOW).id == "local:0"
    with pytest.raises(RequestError):
        by_root.identify(caller(local_uid=SERVER_UID), NOW)


def test_a_refusal_names_cause_and_fix() -> None:
    assert refusal(caller()).message == "Callers on other machines need a key, and this request has none."
    assert refusal(caller(), "none").message == "This server needs a key, and this request has none."
    assert "salver keys create" in refusal(caller()).fix


def test_a_wrong_key_is_named_in_the_log_by_the_id_it_claims_and_nowhere_whole() -> None:
    stranger, record = new_key(KeyRights(label="x", role="admin"), created_by="x", now=NOW)
    error = refusal(caller(stranger))

    assert error.log_detail == f"claimed key {record.id}"
    assert stranger not in f"{error} {error.log_detail}"
    assert refusal(caller("hunter2")).log_detail == ""
    assert "hunter2" not in str(refusal(caller("hunter2")))


def test_a_new_ring_of_keys_counts_at_once() -> None:
    door = authenticator("none")
    door.keys = KeyRing([])

    with pytest.raises(RequestError):
        door.identify(caller(KEY), NOW)
