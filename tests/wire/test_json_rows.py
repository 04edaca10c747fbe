"""Rows that are written at once and cut apart are what each would have been by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salver.types import Array
from salver.wire.jsonrows import row_texts, shared_out
from salver_worker.frames import NUMPY_NAMES

NUMBERS = [name for name in sorted(set(NUMPY_NAMES.values())) if np.dtype(name).kind in "biuf"]
DTYPES = st.sampled_from([*NUMBERS, ">f4", ">i8"])


@st.composite
def tables(draw: Any, most_dimensions: int = 2) -> Array:
    """A vector or a table of any numbers, NaN and the infinities among them, at times not contiguous."""
    shape = draw(arrays.array_shapes(min_dims=1, max_dims=most_dimensions, max_side=6))
    array: Array = draw(arrays.arrays(np.dtype(draw(DTYPES)), shape))
    form = draw(st.sampled_from(["as it is", "every second", "turned"]))
    return array[::2] if form == "every second" else array.T if form == "turned" else array


def by_itself(row: Any) -> bytes:
    native = np.ascontiguousarray(row, row.dtype.newbyteorder("="))
    return orjson.dumps(native if row.ndim else native.reshape(1)[0], option=orjson.OPT_SERIALIZE_NUMPY)


@given(tables())
def test_each_text_is_what_orjson_writes_of_the_row(array: Array) -> None:
    assert row_texts(array) == [by_itself(row) for row in array]


@given(tables(), st.data())
def test_the_shares_are_what_orjson_writes_of_the_slices(array: Array, data: Any) -> None:
    ends = sorted(data.draw(st.sets(st.integers(1, len(array)), max_size=4)) | {len(array)})
    starts = [0, *ends[:-1]]
    texts = row_texts(array)
    assert texts is not None
    shares = shared_out(texts, [end - start for start, end in zip(starts, ends, strict=True)])
    assert [b"[%b]" % share for share in shares] == [
        by_itself(array[start:end]) for start, end in zip(starts, ends, strict=True)
    ]


@pytest.mark.parametrize(
    "array",
    [
        np.float32(1.0).reshape(()),
        np.zeros((0, 2)),
        np.zeros((2, 0)),
        np.zeros((1, 1, 1)),
        np.array([b"a"], object),
        np.array(["a"]),
        np.array([1j]),
        np.zeros(2, np.longdouble),
    ],
    ids=["single value", "no rows", "empty rows", "three dimensions", "BYTES", "text", "complex", "long double"],
)
def test_anything_else_is_left_to_others(array: Array) -> None:
    assert row_texts(array) is None


def test_values_that_json_has_not_become_null() -> None:
    assert row_texts(np.array([[np.nan, np.inf], [-np.inf, 1.0]], "<f4")) == [b"[null,null]", b"[null,1.0]"]
