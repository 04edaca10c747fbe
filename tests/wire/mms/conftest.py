"""Requests as real clients sent them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from salver.operations.base import Exchange

RECORDED = Path(__file__).parent / "recorded"


@pytest.fixture
def recorded(exchange: Callable[..., Exchange]) -> Callable[[str], Exchange]:
    """`recorded("upload")`: the bytes of one request of curl 7.88, as the edge would hand them over."""

    def build(name: str) -> Exchange:
        head, _, body = (RECORDED / f"{name}.http").read_bytes().partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        headers = []
        for line in lines:
            key, _, value = line.partition(b": ")
            headers.append((key, value))
        return exchange(body, method=method, target=target, headers=headers)

    return build


@pytest.fixture
def picture() -> bytes:
    """The JPEG that the recorded uploads carry."""
    return (RECORDED / "upload.http").read_bytes().partition(b"\r\n\r\n")[2]
