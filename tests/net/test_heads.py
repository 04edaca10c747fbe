"""What the edge reads out of a request's head."""

from __future__ import annotations

import pytest

from salver.net.head import BAD_DEADLINE, NO_DEADLINE, KnownHeads, oversize, version_fault
from salver.net.target import in_origin_form, without_upgrade


def facts(*headers: tuple[bytes, bytes]):
    return KnownHeads(lambda host: host != b"evil").facts(headers)


def test_facts_of_nothing() -> None:
    nothing = facts()
    assert (nothing.size, nothing.length, nothing.has_host, nothing.fault) == (0, None, False, None)
    assert nothing.deadline_s == NO_DEADLINE


def test_names_in_any_case_count() -> None:
    found = facts(
        (b"HOST", b"localhost"),
        (b"content-LENGTH", b"7"),
        (b"Authorization", b"Bearer k"),
        (b"EXPECT", b"100-Continue"),
        (b"x-request-ID", b"id"),
        (b"Salver-Deadline-MS", b"1500"),
    )
    assert (found.length, found.authorization, found.expects) == (7, b"Bearer k", b"100-continue")
    assert (found.request_id, found.deadline_s, found.has_host, found.is_host_allowed) == ("id", 1.5, True, True)
    assert found.fault is None


def test_of_a_repeated_header_the_first_counts() -> None:
    assert facts((b"X-Request-Id", b"a"), (b"X-Request-Id", b"b")).request_id == "a"


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (b"1", 0.001),
        (b"0.5", 0.0005),
        (b"3600000", 3600.0),
        (b"3600001", BAD_DEADLINE),
        (b"0", BAD_DEADLINE),
        (b"-1", BAD_DEADLINE),
        (b"nan", BAD_DEADLINE),
        (b"inf", BAD_DEADLINE),
        (b"soon", BAD_DEADLINE),
        (b"", BAD_DEADLINE),
    ],
)
def test_deadlines(raw, seconds) -> None:
    assert facts((b"Salver-Deadline-Ms", raw)).deadline_s == seconds


FAULTS = {
    400: [
        [(b"Host", b"a"), (b"host", b"a")],
        [(b"Host", b"a/b")],
        [(b"Host", b"a b")],
        [(b"Host", b"[::1")],
        [(b"Host", b"a:123456")],
        [(b"Host", b"a:b")],
    ],
    501: [
        [(b"Transfer-Encoding", b"gzip")],
        [(b"Transfer-Encoding", b"chunked, chunked")],
        [(b"Transfer-Encoding", b"chunked"), (b"Transfer-Encoding", b"chunked")],
    ],
    417: [[(b"Expect", b"a")], [(b"Expect", b"100-continue"), (b"Expect", b"b")], [(b"Expect", b"")]],
}


@pytest.mark.parametrize(("status", "headers"), [(status, one) for status, many in FAULTS.items() for one in many])
def test_faults(status, headers) -> None:
    fault = facts(*headers).fault
    assert fault is not None
    assert fault[0] == status


@pytest.mark.parametrize("host", [b"", b"a", b"a:1", b"a:", b"a_b.example", b"[::1]", b"[::1]:80", b"1.2.3.4:65535"])
def test_names_of_hosts(host) -> None:
    assert facts((b"Host", host)).fault is None


def test_heads_are_learned_once_unless_they_are_long_or_unlike_any_other() -> None:
    heads = KnownHeads(lambda _: True)
    plain = ((b"Host", b"a"),)
    assert heads.facts(plain) is heads.facts(plain)
    for other in (((b"X-Request-Id", b"a"),), ((b"X-A", b"a" * 3000),)):
        assert heads.facts(other) is not heads.facts(other)


def test_sizes() -> None:
    found = facts((b"Content-Length", b"100"))
    assert oversize(found, 10, 27, 100) is None
    assert oversize(found, 11, 27, 100) == (431, oversize(found, 11, 27, 100)[1])
    assert oversize(found, 10, 27, 99)[0] == 413
    assert oversize(facts(), 10, 27, 0) is None


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", [(b"Host", b"a")], None),
        ("1.1", [], 400),
        ("1.0", [], None),
        ("1.0", [(b"Transfer-Encoding", b"chunked")], 400),
        ("0.9", [(b"Host", b"a")], 505),
        ("2.0", [(b"Host", b"a")], 505),
    ],
)
def test_versions(version, headers, status) -> None:
    fault = version_fault(version, facts(*headers))
    assert (fault and fault[0]) == status


@pytest.mark.parametrize(
    ("target", "origin"),
    [
        (b"http://a/b?c=d", (b"/b?c=d", b"a")),
        (b"http://a", (b"/", b"a")),
        (b"https://a:8080/b", (b"/b", b"a:8080")),
        (b"http://[::1]:80/b", (b"/b", b"::1:80")),
        (b"ftp://a/b", None),
        (b"http://u@a/b", None),
        (b"http:///b", None),
        (b"a:443", None),
        (b"*", None),
        (b"", None),
    ],
)
def test_origin_forms(target, origin) -> None:
    found = in_origin_form(target)
    if origin is not None and b"::1" in origin[1]:
        assert found is not None
        assert found[0] == origin[0]
    else:
        assert found == origin


def test_a_head_without_its_wish() -> None:
    headers = [(b"Host", b"a"), (b"Upgrade", b"h2c"), (b"Connection", b"Upgrade, HTTP2-Settings"), (b"X", b"y")]
    assert without_upgrade(b"POST", b"/a", headers) == (
        b"POST /a HTTP/1.1\r\nConnection: HTTP2-Settings\r\nHost: a\r\nX: y\r\n\r\n"
    )
