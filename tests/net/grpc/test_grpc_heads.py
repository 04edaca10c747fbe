"""What is read from a call's metadata and its peer, and what may be told in an answer's."""

from __future__ import annotations

import pytest

from salver.net.grpc.head import Callers, as_headers, as_metadata, host_of, request_id_of, value_of
from salver.net.grpc.server import target_of


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[2001:db8::1]:5000", "2001:db8::1"),
        ("ipv6:%5B::ffff:10.0.0.1%5D:5000", "10.0.0.1"),
        ("unix:", ""),
        ("", ""),
    ],
)
def test_a_peer_is_a_machine(peer: str, host: str) -> None:
    assert host_of(peer) == host


def test_callers_of_one_machine_are_one() -> None:
    callers = Callers()
    first = callers.credentials("ipv4:10.0.0.1:1", ())
    assert callers.credentials("ipv4:10.0.0.1:2", ()) is first
    assert (first.peer, first.is_loopback, first.token) == ("10.0.0.1", False, None)
    assert callers.credentials("ipv6:%5B::1%5D:2", ()).is_loopback


def test_what_is_known_of_machines_is_bounded() -> None:
    callers = Callers()
    for number in range(5000):
        callers.credentials(f"ipv4:10.0.{number // 250}.{number % 250}:1", ())
    assert len(callers._known) <= 4096


@pytest.mark.parametrize(
    ("value", "token"), [("Bearer  a ", "a"), ("bearer b", "b"), ("Basic c", ""), ("", ""), (b"Bearer d", "d")]
)
def test_a_key_is_a_bearers(value: str | bytes, token: str) -> None:
    assert Callers().credentials("ipv4:127.0.0.1:1", (("authorization", value),)).token == token


@pytest.mark.parametrize(("given", "id"), [("mine-1", "mine-1"), ("a b", ""), ("", ""), ("a" * 129, "")])
def test_an_id_must_be_harmless(given: str, id: str) -> None:
    assert request_id_of((("x-request-id", given),)) == id


def test_the_first_of_several_values_counts() -> None:
    metadata = (("a", "1"), ("a", "2"), ("b-bin", b"\xff"))
    assert (value_of(metadata, "a"), value_of(metadata, "c"), request_id_of(metadata)) == ("1", None, "")
    assert as_headers(metadata) == (("a", "1"), ("a", "2"), ("b-bin", "\xff"))


def test_headers_that_would_break_a_call_are_not_told() -> None:
    told = (("Model", "m"), ("a b", "1"), ("grpc-status", "0"), ("x-bin", "1"), ("y", "é"), ("z", "1\n2"), ("w", ""))
    assert as_metadata(told) == [("model", "m"), ("w", "")]


def test_an_address_means_what_it_means_for_http() -> None:
    assert target_of("127.0.0.1", 1) == "127.0.0.1:1"
    assert target_of("::1", 1) == "[::1]:1"
    assert target_of("localhost", 1) == "127.0.0.1:1"
