"""Pickles are told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.models.pickles import HEAD_BYTES, compression, decompressed_start, pickle_kind

CONTENT = pickle.dumps([os.urandom(5000), list(range(1000))], protocol=4)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_plain_pickle_is_known_by_its_protocol(protocol: int) -> None:
    assert pickle_kind(pickle.dumps([1], protocol=protocol)) == f"pickle, protocol {protocol}"


@pytest.mark.parametrize(
    ("compress", "method"),
    [
        (gzip.compress, "gzip"),
        (zlib.compress, "zlib"),
        (lambda content: zlib.compress(content, 1), "zlib"),
        (lambda content: zlib.compress(content, 9), "zlib"),
        (lzma.compress, "xz"),
        (lambda content: lzma.compress(content, lzma.FORMAT_ALONE), "lzma"),
    ],
)
def test_a_compressed_one_is_known_from_the_first_bytes(compress: Callable[[bytes], bytes], method: str) -> None:
    assert pickle_kind(compress(CONTENT)[:HEAD_BYTES]) == f"{method}-compressed pickle"


def test_a_bzip2_one_is_known_from_its_first_block() -> None:
    assert pickle_kind(bz2.compress(CONTENT)) == "bzip2-compressed pickle"
    assert pickle_kind(bz2.compress(CONTENT)[:HEAD_BYTES]) is None


def test_lz4_is_taken_for_a_pickle() -> None:
    assert pickle_kind(b"\x04\x22\x4d\x18 whatever") == "lz4-compressed pickle"


@pytest.mark.parametrize(
    "head",
    [b"", b"\x80", b"\x80\x04", b"\x80\x06.", b"\x80\x01.", b"text", gzip.compress(b"text"), b"\x78\x9cnot zlib"],
)
def test_anything_else_is_no_pickle(head: bytes) -> None:
    assert pickle_kind(head) is None


@pytest.mark.parametrize("start", [b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\x00", b"\x5d\x00\x00", b"\x78\x9c"])
def test_broken_compressed_bytes_give_nothing(start: bytes) -> None:
    assert compression(start) is not None
    assert decompressed_start(start + b"\xff" * 100) == b""


def test_what_is_not_compressed_gives_nothing() -> None:
    assert decompressed_start(b"plain text") == b""


def test_a_bomb_gives_its_first_bytes_alone() -> None:
    assert len(decompressed_start(gzip.compress(bytes(10_000_000)))) == 512


def test_real_joblib_files_are_known(data: Path) -> None:
    kinds = {path.name: pickle_kind(path.read_bytes()[:HEAD_BYTES]) for path in (data / "sklearn").iterdir()}
    assert kinds == {
        "iris_svc_kserve.joblib": "pickle, protocol 4",
        "mnist_svm_mlserver.joblib": "pickle, protocol 3",
    }
