"""What a model archive says of itself."""

from __future__ import annotations

import json

import pytest

from salver.errors import Code, LoadError
from salver.models.marfile import parse_mar_manifest, version_number


def manifest(**model: object) -> bytes:
    return json.dumps({"runtime": "python", "engine": {"engineName": "MXNet"}, "model": model}).encode()


def test_name_version_and_handler_are_read() -> None:
    found = parse_mar_manifest(
        manifest(modelName="noop", modelVersion="2.1", handler="service:handle", extensions={}), "noop.mar"
    )
    assert (found.name, found.version, found.handler, found.version_number) == ("noop", "2.1", "service:handle", 2)
    assert found.label == "model archive (handler service:handle)"


def test_what_is_missing_is_left_open() -> None:
    found = parse_mar_manifest(manifest(modelName="", handler=""), "noop.mar")
    assert (found.name, found.version, found.handler, found.version_number) == (None, None, None, 1)
    assert found.label == "model archive (names no handler)"


@pytest.mark.parametrize(
    ("version", "number"),
    [("1.0", 1), ("12", 12), ("0.1", 0), ("snapshot", 1), ("v3", 1), ("", 1), (None, 1), ("9" * 40, 1), ("007.5", 7)],
)
def test_a_version_is_its_leading_number(version: str | None, number: int) -> None:
    assert version_number(version) == number


def test_a_version_may_be_written_as_a_number() -> None:
    assert parse_mar_manifest(manifest(modelVersion=2.0), "x.mar").version == "2.0"


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"model": 3}', b'{"model": {"handler": 3}}', b"\xff"])
def test_a_manifest_that_is_none_is_told_with_its_archive(raw: bytes) -> None:
    with pytest.raises(LoadError, match=r"MAR-INF/MANIFEST\.json in noop\.mar: ") as caught:
        parse_mar_manifest(raw, "noop.mar")
    assert caught.value.code is Code.MANIFEST_INVALID


@pytest.mark.parametrize("key", ["modelName", "modelVersion", "handler"])
def test_what_would_write_over_a_terminal_is_refused(key: str) -> None:
    with pytest.raises(LoadError, match="cannot be printed"):
        parse_mar_manifest(manifest(**{key: "a\x1b[2J"}), "noop.mar")
