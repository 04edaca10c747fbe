"""What a request's target says: the path behind an absolute address, and the scope that ASGI applications get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn._types import HTTPScope

Address = tuple[str, int | None]


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


def scope_of(
    method: bytes,
    target: bytes,
    headers: list[tuple[bytes, bytes]],
    *,
    addresses: tuple[Address | None, tuple[str, int] | None],
    scheme: str,
    state: Mapping[str, Any],
) -> HTTPScope:
    """The scope of a request whose target begins with a slash; `addresses` are the server's and the client's."""
    url = httptools.parse_url(target)
    raw_path = url.path or b"/"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": addresses[0],
        "client": addresses[1],
        "scheme": scheme,
        "method": method.decode("ascii"),
        "root_path": "",
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": url.query or b"",
        "headers": [(name.lower(), value) for name, value in headers],
        "state": dict(state),
    }
