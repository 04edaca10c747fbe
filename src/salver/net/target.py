"""A request's head in other words: an absolute address as a path, a wish to switch protocols left out."""

from __future__ import annotations

from collections.abc import Callable

import httptools
import msgspec

from salver.net.head import HeadFacts

Headers = list[tuple[bytes, bytes]]


def in_origin_form(
    target: bytes, facts: HeadFacts, is_host_allowed: Callable[[bytes], bool]
) -> tuple[bytes, HeadFacts]:
    """The path, and what holds, of a request that names the server in its target, as for a proxy."""
    found = _path_and_host(target)
    if found is None:
        return target, msgspec.structs.replace(facts, fault=(400, "The request's target is not a path."))
    path, host = found
    return path, msgspec.structs.replace(facts, is_host_allowed=facts.is_host_allowed and is_host_allowed(host))


def _path_and_host(target: bytes) -> tuple[bytes, bytes] | None:
    """The path with its query, and the host, of a target like `http://host/path`; None for any other target."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return None
    if url.schema not in (b"http", b"https") or not url.host or url.userinfo:
        return None
    path = url.path or b"/"
    name = b"[%b]" % url.host if b":" in url.host else url.host
    host = name if url.port is None else b"%b:%d" % (name, url.port)
    return (path if url.query is None else b"%b?%b" % (path, url.query)), host


def without_upgrade(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of an HTTP/1.1 request as if it had never asked for another protocol."""
    kept = [(name, value) for name, value in headers if name.lower() not in (b"upgrade", b"connection")]
    wishes = b",".join(value for name, value in headers if name.lower() == b"connection").split(b",")
    stays = b", ".join(wish.strip() for wish in wishes if wish.strip().lower() != b"upgrade")
    lines = [b"%b: %b" % header for header in ((b"Connection", stays), *kept)]
    return b"\r\n".join((b"%b %b HTTP/1.1" % (method, target), *lines, b"", b""))
