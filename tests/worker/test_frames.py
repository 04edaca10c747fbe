"""The bytes of the protocol: the prefix, headers, BYTES tensors and the padding between tensors."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver_worker import frames

SMALL = st.integers(0, 2**32 - 1)
BIG = st.integers(0, 2**64 - 1)
QUICK = settings(max_examples=50, deadline=None)


@QUICK
@given(verb=st.integers(0, 255), id=BIG, deadline_ms=SMALL, header=st.integers(0, frames.MAX_HEADER_BYTES), body=BIG)
def test_a_prefix_survives_the_way_there_and_back(verb: int, id: int, deadline_ms: int, header: int, body: int) -> None:
    raw = frames.pack_prefix(verb, id, deadline_ms, header, body)
    assert len(raw) == frames.PREFIX_SIZE == 32
    assert frames.unpack_prefix(raw) == (verb, id, deadline_ms, header, body)


def test_the_prefix_has_its_fields_where_the_page_says() -> None:
    raw = frames.pack_prefix(frames.PREDICT, 5, 250, 3, 7)
    assert raw == b"SLV1" + bytes([32, 0, 0, 0]) + struct.pack("<QIIQ", 5, 250, 3, 7)


def test_a_prefix_is_read_at_an_offset() -> None:
    raw = b"xx" + frames.pack_prefix(frames.STOP, 1, 0, 0, 0)
    assert frames.unpack_prefix(memoryview(raw), 2).verb == frames.STOP


def test_other_bytes_are_not_a_prefix() -> None:
    with pytest.raises(frames.FrameError, match="begin"):
        frames.unpack_prefix(b"GET / HTTP/1.1\r\nHost: example.com\r\n")


def test_a_header_above_the_limit_is_refused_before_it_is_read() -> None:
    raw = frames.pack_prefix(frames.PREDICT, 0, 0, frames.MAX_HEADER_BYTES + 1, 0)
    with pytest.raises(frames.FrameError, match="above the limit"):
        frames.unpack_prefix(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@QUICK
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_a_header_survives_the_way_there_and_back(header: dict[str, object]) -> None:
    assert frames.decode_header(memoryview(frames.encode_header(header))) == header


def test_no_header_takes_no_bytes_and_reads_as_an_empty_one() -> None:
    assert frames.encode_header(None) == b""
    assert frames.decode_header(b"") == {}


@pytest.mark.parametrize(("raw", "reason"), [(b"{", "not JSON"), (b"[]", "JSON object"), (b"\xff", "not JSON")])
def test_what_is_not_a_json_object_is_no_header(raw: bytes, reason: str) -> None:
    with pytest.raises(frames.FrameError, match=reason):
        frames.decode_header(raw)


@QUICK
@given(st.dictionaries(st.text(), st.integers()), st.binary())
def test_a_frame_is_its_prefix_its_header_and_its_body(header: dict[str, int], body: bytes) -> None:
    raw = frames.encode_frame(frames.READY, 9, header, body, deadline_ms=4)
    prefix = frames.unpack_prefix(raw)
    start = frames.PREFIX_SIZE + prefix.header_length
    assert (prefix.verb, prefix.id, prefix.deadline_ms) == (frames.READY, 9, 4)
    assert json.loads(raw[frames.PREFIX_SIZE : start]) == header
    assert raw[start:] == body
    assert prefix.body_length == len(body)


@QUICK
@given(st.lists(st.binary()))
def test_a_bytes_tensor_survives_the_way_there_and_back(elements: list[bytes]) -> None:
    raw = frames.encode_bytes_elements(elements)
    assert frames.decode_bytes_elements(memoryview(raw), len(elements)) == elements


@pytest.mark.parametrize(
    ("raw", "count", "reason"),
    [
        (b"\x01\x00\x00", 1, "ends before"),
        (b"\x02\x00\x00\x00a", 1, "longer than the tensor"),
        (b"\x01\x00\x00\x00ab", 1, "1 bytes after its last"),
        (b"\x01\x00\x00\x00a", 2, "ends before"),
        (b"\x00", 0, "after its last"),
    ],
)
def test_a_bytes_tensor_whose_lengths_disagree_is_refused(raw: bytes, count: int, reason: str) -> None:
    with pytest.raises(frames.FrameError, match=reason):
        frames.decode_bytes_elements(raw, count)


@QUICK
@given(st.integers(0, 10**9))
def test_padding_reaches_the_next_multiple_of_the_alignment(size: int) -> None:
    gap = frames.padding(size)
    assert 0 <= gap < frames.ALIGNMENT
    assert (size + gap) % frames.ALIGNMENT == 0


def test_a_shape_without_dimensions_has_one_element() -> None:
    assert frames.element_count([]) == 1
    assert frames.element_count([3, 0]) == 0
    assert frames.element_count([2, 3, 4]) == 24


def test_a_tensor_row_is_plain_json() -> None:
    row = frames.tensor_entry("x", "FP32", (2, 3), 24)
    assert json.loads(json.dumps(row)) == ["x", "FP32", [2, 3], 24]


def test_every_verb_has_a_name() -> None:
    verbs = {name: value for name, value in vars(frames).items() if name in frames.VERB_NAMES.values()}
    assert {value: name for name, value in verbs.items()} == frames.VERB_NAMES


def test_datatypes_that_numpy_knows_have_the_size_that_numpy_gives_them() -> None:
    import numpy as np

    for name, code in frames.NUMPY_NAMES.items():
        assert np.dtype(code).itemsize == frames.DATATYPE_SIZES[name]
    assert set(frames.DATATYPE_SIZES) - set(frames.NUMPY_NAMES) == {"BF16"}
