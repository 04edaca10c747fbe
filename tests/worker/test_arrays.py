"""Arrays and the datatypes that they travel as."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver_worker import arrays, frames


@pytest.mark.parametrize(("datatype", "code"), sorted(frames.NUMPY_NAMES.items()))
def test_every_numeric_datatype_is_known_by_its_array_in_either_byte_order(datatype: str, code: str) -> None:
    array = np.zeros(2, code)
    assert arrays.datatype_of(array) == datatype
    assert arrays.datatype_of(array.astype(array.dtype.newbyteorder(">"))) == datatype


@pytest.mark.parametrize("array", [np.array(["a"]), np.array([b"a"]), np.array([b"a"], object)])
def test_text_and_objects_travel_as_bytes(array: Any) -> None:
    assert arrays.datatype_of(array) == "BYTES"


@pytest.mark.parametrize("array", [np.zeros(1, "M8[s]"), np.zeros(1, complex)])
def test_what_has_no_datatype_does_not_travel(array: Any) -> None:
    assert arrays.datatype_of(array) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 0xFFFF))
def test_every_bf16_value_survives_widening_and_narrowing(bits: int) -> None:
    wide = arrays.bf16_to_float32(np.array([bits], np.uint16))
    again = int(arrays.float32_to_bf16(wide)[0])
    assert again == bits or (np.isnan(wide[0]) and again == 0x7FC0)


def test_narrowing_rounds_to_the_nearest_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF], np.uint32)
    assert arrays.float32_to_bf16(bits.view(np.float32)).tolist() == [0x3F80, 0x3F82, 0x3F81, 0x7F80]


def test_bf16_is_held_as_float32_and_everything_else_as_itself() -> None:
    assert (arrays.widen("BF16"), arrays.widen("FP16")) == ("FP32", "FP16")


def test_a_bytes_array_takes_text_and_any_form_of_bytes() -> None:
    array = arrays.bytes_array(["é", b"b", bytearray(b"c"), memoryview(b"d")], (2, 2))
    assert array.tolist() == [["é".encode(), b"b"], [b"c", b"d"]]


def test_a_bytes_array_takes_nothing_else() -> None:
    with pytest.raises(TypeError, match="int"):
        arrays.bytes_array([1], (1,))
