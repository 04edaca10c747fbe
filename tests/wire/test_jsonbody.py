"""Parsing a JSON body under the limits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.wire.jsonbody import MAX_DEPTH, JsonError, JsonFault, is_deeper, parse_json, unpacked

VALUES = st.recursive(
    st.one_of(st.none(), st.integers(0, 9), st.text(alphabet='[]{}"\\a', max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(alphabet="[]{", max_size=2), inner)),
    max_leaves=40,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@settings(deadline=None)
@given(VALUES, st.integers(0, 5))
def test_depth_counts_brackets_outside_strings(value: object, levels: int) -> None:
    assert is_deeper(json.dumps(value).encode(), levels) == (depth_of(value) > levels)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_nesting_is_bounded(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    deepest = f"{opening * (MAX_DEPTH - 1)}[]{closing * (MAX_DEPTH - 1)}".encode()
    parse_json(deepest)
    with pytest.raises(JsonError) as caught:
        parse_json(b"[" + deepest + b"]")
    assert caught.value.fault is JsonFault.TOO_DEEP


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse_json(b"[" + b"[],{}," * 1000 + b"[]]")[0] == []


@pytest.mark.parametrize(
    ("raw", "fault", "offset"),
    [
        (b"", JsonFault.EMPTY, 0),
        (b" \t", JsonFault.EMPTY, 0),
        (b"[1,", JsonFault.INVALID, 3),
        (b"[Infinity]", JsonFault.NOT_FINITE, 1),
        ('["é",NaN]'.encode(), JsonFault.NOT_FINITE, 6),
        (b"[-Inf]", JsonFault.NOT_FINITE, 2),
        (b"[1e999]", JsonFault.TOO_LARGE, 1),
        (b"{} {}", JsonFault.TRAILING, 3),
        (b'"\xff"', JsonFault.ENCODING, None),
        (b"[" * 5000, JsonFault.TOO_DEEP, 1025),
    ],
)
def test_faults_have_a_kind_and_a_place(raw: bytes, fault: JsonFault, offset: int | None) -> None:
    with pytest.raises(JsonError) as caught:
        parse_json(raw)
    assert (caught.value.fault, caught.value.offset) == (fault, offset)


def test_a_body_without_an_encoding_is_passed_on_as_it_is() -> None:
    body = memoryview(b"{}")
    assert unpacked(body, None, 1) is body
    assert unpacked(body, b"", 1) is body
