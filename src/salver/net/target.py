"""A request's head in other words: an absolute address as a path, a wish to switch protocols left out."""

from __future__ import annotations

import httptools

Headers = list[tuple[bytes, bytes]]


def in_origin_form(target: bytes) -> tuple[bytes, bytes] | None:
    """The path with its query, and the host, of a target like `http://host/path`; None for any other target."""
    try:
        url = httptools.parse_url(target)
    except httptools.HttpParserInvalidURLError:
        return None
    if url.schema not in (b"http", b"https") or not url.host or url.userinfo:
        return None
    path = url.path or b"/"
    host = url.host if url.port is None else b"%b:%d" % (url.host, url.port)
    return (path if url.query is None else b"%b?%b" % (path, url.query)), host


def without_upgrade(method: bytes, target: bytes, headers: Headers) -> bytes:
    """The head of an HTTP/1.1 request as if it had never asked for another protocol."""
    kept = [(name, value) for name, value in headers if name.lower() not in (b"upgrade", b"connection")]
    wishes = b",".join(value for name, value in headers if name.lower() == b"connection").split(b",")
    stays = b", ".join(wish.strip() for wish in wishes if wish.strip().lower() != b"upgrade")
    lines = [b"%b: %b" % header for header in ((b"Connection", stays), *kept)]
    return b"\r\n".join((b"%b %b HTTP/1.1" % (method, target), *lines, b"", b""))
