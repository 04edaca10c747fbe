"""Transports over a Unix socket that look before they connect.

httpx leaves the failed socket of a path that is not there to the garbage collector, which warns about it.
"""

from __future__ import annotations

from pathlib import Path

import httpx


def check_socket(path: str, request: httpx.Request) -> None:
    """Raises httpx.ConnectError when the path is no socket."""
    if not Path(path).is_socket():
        raise httpx.ConnectError("there is no such socket", request=request)


class UnixTransport(httpx.HTTPTransport):
    def __init__(self, path: str) -> None:
        super().__init__(uds=path)
        self._path = path

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        check_socket(self._path, request)
        return super().handle_request(request)


class AsyncUnixTransport(httpx.AsyncHTTPTransport):
    def __init__(self, path: str) -> None:
        super().__init__(uds=path)
        self._path = path

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_socket(self._path, request)
        return await super().handle_async_request(request)
