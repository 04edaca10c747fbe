"""Raw bytes, CSV and .npy as tensors, and the choice of a part by its name."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.serving.payload import as_bytes, batch_group, body_to_inputs
from salver.types import Part, Signature, SlabSlice, Tensor, TensorSpec, as_array

RAW = "application/octet-stream"
NPY = "application/x-npy"
CSV = "text/csv"


class Ownerless:
    def free(self, piece: SlabSlice) -> None:
        raise AssertionError("a conversion must not give memory back")


def slab(data: bytes) -> SlabSlice:
    return SlabSlice(Ownerless(), 0, memoryview(bytearray(data)))


def signature(*inputs: tuple[str, str, tuple[int, ...]]) -> Signature:
    specs = tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, datatype, shape in inputs)
    return Signature(inputs=specs, outputs=())


IMAGE = signature(("image", "BYTES", (-1,)))
IRIS = signature(("x", "FP32", (-1, 4)))
TWO_ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)


def convert(data: Any, content_type: str, of: Signature) -> tuple[dict[str, Tensor], int]:
    return body_to_inputs([Part("body", content_type, data)], of)


def refusal(parts: list[Part], of: Signature, code: Code = Code.INVALID_INPUT) -> str:
    with pytest.raises(RequestError) as caught:
        body_to_inputs(parts, of)
    assert caught.value.code is code
    return caught.value.message


def npy(array: np.ndarray[Any, Any], version: tuple[int, int] | None = None) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=True)
    return file.getvalue()


# One element


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, slab])
def test_any_body_is_one_element_of_a_bytes_input(wrap: Any) -> None:
    inputs, rows = convert(wrap(b"\xff\xd8"), "image/jpeg", IMAGE)
    assert (rows, inputs) == (1, {"image": Tensor("BYTES", (1,), [b"\xff\xd8"])})
    assert type(inputs["image"].data[0]) is bytes


def test_an_element_has_as_many_dimensions_as_its_input() -> None:
    assert convert(b"a", "", signature(("t", "BYTES", (-1, 1))))[0]["t"].shape == (1, 1)
    assert convert(b"a", "", signature(("t", "BYTES", ())))[0]["t"].shape == ()


def test_one_element_cannot_fill_an_input_of_two() -> None:
    assert "takes [-1, 2] elements" in refusal([Part("body", "", b"a")], signature(("t", "BYTES", (-1, 2))))


def test_bytes_are_not_copied_when_they_are_bytes() -> None:
    data = b"abc"
    assert as_bytes(data) is data


# Raw tensors


@pytest.mark.parametrize("content_type", [RAW, ""])
def test_raw_bytes_are_as_many_rows_as_there_are(content_type: str) -> None:
    raw = TWO_ROWS.tobytes()
    inputs, rows = convert(raw, content_type, IRIS)
    assert (rows, inputs["x"].shape) == (2, (2, 4))
    assert inputs["x"].data is raw
    np.testing.assert_array_equal(as_array(inputs["x"]), TWO_ROWS)


def test_a_slab_slice_goes_on_as_it_is() -> None:
    piece = slab(TWO_ROWS.tobytes())
    assert convert(piece, RAW, IRIS)[0]["x"].data is piece


def test_raw_bytes_fill_a_model_without_rows_and_a_bfloat16_input() -> None:
    assert convert(bytes(4), RAW, signature(("h", "BF16", (2,))))[0]["h"].shape == (2,)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_bytes_that_are_no_whole_rows_are_refused_with_both_sizes(size: int) -> None:
    assert f"rows of 16 bytes (FP32 [4]); {size} bytes" in refusal([Part("body", RAW, bytes(size))], IRIS)


def test_two_rows_are_refused_where_a_model_takes_one_value() -> None:
    assert "one value at a time, not 2 rows" in refusal([Part("body", RAW, bytes(16))], signature(("m", "INT32", (2,))))


def test_raw_bytes_are_refused_where_rows_have_a_free_shape() -> None:
    assert "free shape [-1]" in refusal([Part("body", RAW, bytes(16))], signature(("m", "INT32", (-1, -1))))


def test_a_content_type_that_is_no_numbers_is_refused_with_the_types_that_are() -> None:
    message = refusal([Part("body", "image/jpeg", b"\xff")], IRIS, Code.UNSUPPORTED_MEDIA_TYPE)
    assert "image/jpeg is no format of numbers" in message


# CSV and text


@pytest.mark.parametrize("content_type", ["text/csv; header=absent", "text/plain"])
def test_each_line_is_a_row(content_type: str) -> None:
    inputs, rows = convert(b"\xef\xbb\xbf1, 2,3,4\r\n\r\n5,6,7,8.5\n", content_type, IRIS)
    assert rows == 2
    assert inputs["x"].data.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]


def test_a_line_fills_a_row_of_any_shape_in_row_major_order() -> None:
    inputs, _ = convert(b"1,2,3,4", CSV, signature(("m", "INT64", (-1, 2, 2))))
    assert inputs["m"].data.tolist() == [[[1, 2], [3, 4]]]


def test_a_line_is_as_long_as_it_likes_where_the_row_is_free() -> None:
    assert convert(b"1,2,3", CSV, signature(("m", "FP32", (-1, -1))))[0]["m"].shape == (1, 3)


def test_single_numbers_are_rows_of_an_input_without_columns() -> None:
    assert convert(b"1\n2\n", CSV, signature(("m", "FP32", (-1,))))[0]["m"].data.tolist() == [1, 2]


def test_text_in_brackets_is_a_json_list() -> None:
    assert convert(b" [1, 2, 3, 4]", "text/plain", IRIS)[0]["x"].data.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "has no lines"),
        (b"\xff", "not text in UTF-8"),
        (b"1,2,3,4\na,2,3,4", "'a' in line 2, column '0', which is not a number"),
        (b"1,2,3,4\n1,2,3", "has 3 cells in line 2 and 4 in line 1"),
        (b"1,2,3", "takes 4 values in a row; the table has 3 columns"),
        (b"1,2,3,1_0", "'1_0' in line 1"),
        (b"1,2,3,nan", "holds nothing ('nan') in line 1"),
    ],
)
def test_lines_that_are_no_rows_are_refused_in_words(text: bytes, words: str) -> None:
    assert words in refusal([Part("body", CSV, text)], IRIS)


def test_fractions_are_refused_where_whole_numbers_are_wanted() -> None:
    message = refusal([Part("body", CSV, b"1\n1.5")], signature(("n", "UINT8", (-1,))))
    assert "'1.5' in line 2, column '0', which is not a whole number" in message


def test_lines_cannot_show_rows_of_several_free_dimensions() -> None:
    assert "columns of a table cannot show" in refusal(
        [Part("body", CSV, b"1")], signature(("n", "UINT8", (-1, -1, 2)))
    )


# .npy


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_an_array_of_the_right_type_is_taken_without_a_copy(version: tuple[int, int]) -> None:
    raw = npy(TWO_ROWS, version)
    inputs, rows = convert(raw, NPY, IRIS)
    assert (rows, inputs["x"].shape) == (2, (2, 4))
    assert inputs["x"].data.obj is raw
    np.testing.assert_array_equal(as_array(inputs["x"]), TWO_ROWS)


def test_a_slab_slice_can_be_given_back_after_its_array_was_converted() -> None:
    piece = slab(npy(TWO_ROWS.astype(np.float64)))
    inputs, _ = convert(piece, NPY, IRIS)
    piece.view.release()
    np.testing.assert_array_equal(as_array(inputs["x"]), TWO_ROWS)


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(TWO_ROWS),
        TWO_ROWS.astype(">f4"),
        TWO_ROWS.astype(np.float64),
        TWO_ROWS.astype(np.int64),
        TWO_ROWS.astype(np.float16),
    ],
)
def test_other_layouts_and_types_become_the_inputs_own_when_every_value_fits(array: np.ndarray[Any, Any]) -> None:
    tensor = convert(npy(array), NPY, IRIS)[0]["x"]
    np.testing.assert_array_equal(as_array(tensor), TWO_ROWS)


def test_not_a_number_and_infinity_are_values_of_an_array() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, 0]])
    np.testing.assert_array_equal(as_array(convert(npy(values), NPY, IRIS)[0]["x"]), values)


def test_a_single_row_of_an_array_gets_its_dimension_of_rows() -> None:
    assert convert(npy(TWO_ROWS[0]), NPY, IRIS)[0]["x"].shape == (1, 4)


def test_whole_numbers_of_another_width_are_taken_when_they_fit() -> None:
    narrow = signature(("n", "UINT8", (-1,)))
    assert convert(npy(np.array([1, 255])), NPY, narrow)[0]["n"].data.tolist() == [1, 255]
    assert "outside UINT8" in refusal([Part("body", NPY, npy(np.array([256])))], narrow)


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not a .npy file"),
        (b"PK\x03\x04 a zip, not one array", "not a .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(8), "not a .npy file"),
        (npy(np.array([{"an": "object"}], dtype=object)), "not one plain array"),
        (npy(np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")])), "not one plain array"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': " + b"(" * 200 + b"}"), "not one plain array"),
        (header(b"1" * 5000), "not one plain array"),
        (header(b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999, 4), }"), "announces 15999999984 bytes"),
        (npy(TWO_ROWS) + b"\0", "announces 32 bytes of values in its .npy header and has 33"),
        (npy(TWO_ROWS[:0]), "no values"),
        (npy(TWO_ROWS[:, :3]), "has the shape [2, 3]"),
        (npy(np.array([[1e39] * 4])), "FP32 cannot hold, in row 0"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_in_words(raw: bytes, words: str) -> None:
    assert words in refusal([Part("body", NPY, raw)], IRIS)


@given(st.data())
def test_an_array_with_damaged_bytes_is_an_array_or_refused(data: st.DataObject) -> None:
    raw = bytearray(npy(TWO_ROWS))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with contextlib.suppress(RequestError):
        inputs, rows = convert(damaged, NPY, IRIS)
        assert as_array(inputs["x"]).shape == (rows, 4)


# Parts and inputs


def test_the_only_part_is_the_only_input_whatever_its_name() -> None:
    assert body_to_inputs([Part("picture", "image/png", b"p")], IMAGE)[0]["image"].data == [b"p"]


@pytest.mark.parametrize("name", ["image", "data", "body"])
def test_of_several_parts_the_inputs_own_or_a_general_name_is_taken(name: str) -> None:
    parts = [Part("note", "text/plain", b"n"), Part(name, "image/png", b"p")]
    assert body_to_inputs(parts, IMAGE)[0]["image"].data == [b"p"]


def test_of_several_parts_none_is_guessed() -> None:
    message = refusal([Part("a", "", b""), Part("b", "", b"")], IMAGE)
    assert message == "The model takes 'image'; the request brings 'a', 'b'."
    assert "brings nothing" in refusal([], IMAGE)


def test_several_inputs_come_as_parts_of_their_names_each_in_its_own_format() -> None:
    of = signature(("image", "BYTES", (-1,)), ("size", "INT32", (-1, 2)), ("threshold", "FP32", (-1,)))
    parts = [
        Part("threshold", "text/plain", b"0.5"),
        Part("size", "application/json", b"[[3, 4]]"),
        Part("image", "image/png", b"p"),
    ]
    inputs, rows = body_to_inputs(parts, of)
    assert rows == 1
    assert list(inputs) == ["image", "size", "threshold"]
    assert inputs["size"].data.tolist() == [[3, 4]]
    assert inputs["threshold"].data.tolist() == [0.5]


def test_a_missing_part_is_named() -> None:
    of = signature(("a", "BYTES", (-1,)), ("b", "BYTES", (-1,)))
    assert refusal([Part("a", "", b"")], of) == "The model takes 'a', 'b'; the request brings 'a'."


# Groups


def test_requests_group_by_signature_and_rows_shape_and_not_by_their_number_of_rows() -> None:
    one, _ = convert(TWO_ROWS[:1].tobytes(), RAW, IRIS)
    two, _ = convert(b"1,2,3,4\n5,6,7,8", CSV, IRIS)
    assert batch_group("s", one) == batch_group("s", two)
    assert hash(batch_group("s", one)) == hash(batch_group("s", two))
    assert batch_group("s", one) != batch_group("t", one)
    assert batch_group("s", one) != batch_group("s", convert(b"a", "", IMAGE)[0])
