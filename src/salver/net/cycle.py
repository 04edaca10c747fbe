"""An ordinary request as uvicorn and the ASGI application know it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from salver.operations.base import Credentials

if TYPE_CHECKING:
    from salver.net.head import HeadFacts
    from salver.net.http import LaneProtocol


def cycle_of(
    http: LaneProtocol, headers: list[tuple[bytes, bytes]], facts: HeadFacts, credentials: Credentials, keep_alive: bool
) -> RequestResponseCycle:
    """The request whose head the connection's parser has just taken; its target begins with a slash."""
    return RequestResponseCycle(
        scope=_scope(http, headers, facts, credentials),
        transport=http.transport,
        flow=http.flow,
        logger=http.logger,
        access_logger=http.access_logger,
        access_log=False,
        default_headers=[http.edge.date_header],
        message_event=asyncio.Event(),
        expect_100_continue=bool(facts.expects),
        keep_alive=keep_alive,
        on_response=http.on_response_complete,
    )


def _scope(
    http: LaneProtocol, headers: list[tuple[bytes, bytes]], facts: HeadFacts, credentials: Credentials
) -> HTTPScope:
    url = httptools.parse_url(http.url)
    raw_path = url.path or b"/"
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": http.server,
        "client": http.client,
        "scheme": http.scheme or "http",
        "method": http.parser.get_method().decode("ascii"),
        "root_path": "",
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": url.query or b"",
        "headers": [(name.lower(), value) for name, value in headers],
        "state": {"credentials": credentials, "is_host_allowed": facts.is_host_allowed},
    }
