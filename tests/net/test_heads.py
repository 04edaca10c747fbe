"""What the edge reads out of a request's head."""

from __future__ import annotations

import pytest

from salver.net import head
from salver.net.head import BAD_DEADLINE, NO_DEADLINE, NO_LENGTH, KnownHeads, head_bytes, version_fault
from salver.net.target import in_origin_form, without_upgrade


def read(*headers: tuple[bytes, bytes]):
    return KnownHeads(lambda host: host != b"evil").read(headers)


def facts(*headers: tuple[bytes, bytes]):
    return read(*headers)[0]


def test_facts_of_nothing() -> None:
    nothing, length, request_id = read()
    assert (length, request_id, nothing.has_host, nothing.fault) == (NO_LENGTH, b"", False, None)
    assert nothing.deadline_s == NO_DEADLINE
    assert nothing.is_plain


def test_names_in_any_case_count() -> None:
    found, length, request_id = read(
        (b"HOST", b"localhost"),
        (b"content-LENGTH", b"7"),
        (b"Authorization", b"Bearer k"),
        (b"EXPECT", b"100-Continue"),
        (b"x-request-ID", b"id"),
        (b"Salver-Deadline-MS", b"1500"),
    )
    assert (length, found.authorization, found.expects) == (7, b"Bearer k", b"100-continue")
    assert (request_id, found.deadline_s, found.has_host, found.is_host_allowed) == (b"id", 1.5, True, True)
    assert found.fault is None
    assert not found.is_plain


def test_of_a_repeated_header_the_first_counts() -> None:
    assert read((b"X-Request-Id", b"a"), (b"X-Request-Id", b"b"))[2] == b"a"
    assert facts((b"Authorization", b"a"), (b"Authorization", b"b")).authorization == b"a"


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


def test_heads_are_learned_once_whatever_else_changes_from_request_to_request() -> None:
    heads = KnownHeads(lambda _: True)
    known, _, _ = heads.read([(b"Host", b"a")])
    others = [(b"X-Request-Id", b"b"), (b"traceparent", b"c"), (b"Content-Length", b"5"), (b"Content-Type", b"d")]
    for other in others:
        assert heads.read([(b"Host", b"a"), other])[0] is known
    assert heads.read([(b"Host", b"b")])[0] is not known


def test_long_heads_are_not_kept() -> None:
    heads = KnownHeads(lambda _: True)
    long = [(b"Authorization", b"a" * 3000)]
    assert heads.read(long)[0] is not heads.read(long)[0]


def test_any_number_of_heads_and_names_takes_bounded_memory(monkeypatch) -> None:
    monkeypatch.setattr(head, "MAX_KNOWN", 10)
    monkeypatch.setattr(head, "MAX_NAMES", 10)
    heads = KnownHeads(lambda _: True)
    for number in range(100):
        heads.read([(b"Host", b"%d" % number), (b"X-%d" % number, b"a")])
    assert len(heads._known) <= 10
    assert len(heads._kinds) <= 10
    assert heads.read([(b"HoSt", b"late")])[0].has_host


def test_bytes_of_a_head() -> None:
    assert head_bytes([(b"ab", b"c"), (b"", b"de")]) == 5


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
    ("target", "path", "host"),
    [
        (b"http://a/b?c=d", b"/b?c=d", b"a"),
        (b"http://a", b"/", b"a"),
        (b"https://a:8080/b", b"/b", b"a:8080"),
        (b"http://[::1]/b", b"/b", b"[::1]"),
        (b"http://[::1]:80/b", b"/b", b"[::1]:80"),
    ],
)
def test_a_target_may_name_the_server(target, path, host) -> None:
    asked: list[bytes] = []
    found, told = in_origin_form(target, facts(), lambda name: asked.append(name) is None)
    assert (found, asked) == (path, [host])
    assert told.is_host_allowed
    assert not in_origin_form(target, facts(), lambda name: False)[1].is_host_allowed
    assert not in_origin_form(target, facts((b"Host", b"evil")), lambda name: True)[1].is_host_allowed


@pytest.mark.parametrize("target", [b"ftp://a/b", b"http://u@a/b", b"http:///b", b"a:443", b"*", b""])
def test_other_targets_are_no_paths(target) -> None:
    _, told = in_origin_form(target, facts(), lambda name: True)
    assert told.fault is not None
    assert told.fault[0] == 400


def test_a_head_without_its_wish() -> None:
    headers = [(b"Host", b"a"), (b"Upgrade", b"h2c"), (b"Connection", b"Upgrade, HTTP2-Settings"), (b"X", b"y")]
    assert without_upgrade(b"POST", b"/a", headers) == (
        b"POST /a HTTP/1.1\r\nConnection: HTTP2-Settings\r\nHost: a\r\nX: y\r\n\r\n"
    )
