"""Arrow and Parquet that were damaged, or made to hurt."""

from __future__ import annotations

import contextlib
import datetime as dt
import struct
import sys
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.serving.payload import body_to_inputs
from salver.serving.payload.arrow_messages import file_blocks, unfolded_bytes
from salver.serving.payload.parquet import _bytes_of
from salver.serving.payload.parquet_pages import Reader, pages
from salver.serving.payload.policy import Policy
from salver.types import Part, Signature, TensorSpec, as_array
from table_bodies import arrow_stream, parquet

STREAM, PARQUET = "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
SMALL = Policy(max_bytes=1_000_000)
TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", "x"], "c": [[1.0, 2.0]] * 3})
SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="a", datatype="INT64", shape=(-1,)),
        TensorSpec(name="b", datatype="BYTES", shape=(-1,)),
        TensorSpec(name="c", datatype="FP32", shape=(-1, 2)),
    ),
    outputs=(),
)


def one(datatype: str, *row: int) -> Signature:
    return Signature(inputs=(TensorSpec(name="x", datatype=datatype, shape=(-1, *row)),), outputs=())


def read(raw: bytes, content_type: str, of: Signature, policy: Policy = SMALL) -> Any:
    return body_to_inputs([Part("body", content_type, raw)], of, policy)[0]


def refusal(values: Any, of: Signature, code: Code = Code.INVALID_INPUT) -> str:
    with pytest.raises(RequestError) as caught:
        read(arrow_stream(pa.table({"x": values})), STREAM, of)
    assert caught.value.code is code
    return caught.value.message


BODIES = [
    (STREAM, arrow_stream(TABLE)),
    (STREAM, arrow_stream(TABLE, compression="lz4")),
    (
        STREAM,
        arrow_stream(pa.table({"a": [1, 2, 3], "b": TABLE["b"].combine_chunks().dictionary_encode(), "c": TABLE["c"]})),
    ),
    (STREAM, arrow_stream(TABLE, new=pa.ipc.new_file, compression="zstd")),
    (PARQUET, parquet(TABLE)),
    (PARQUET, parquet(TABLE, data_page_version="2.0", compression="zstd")),
]


@pytest.mark.parametrize(("content_type", "raw"), BODIES)
def test_whole_bodies_are_read(content_type: str, raw: bytes) -> None:
    inputs = read(raw, content_type, SIGNATURE)
    assert as_array(inputs["a"]).tolist() == [1, 2, 3]
    assert inputs["b"].data == [b"x", b"y", b"x"]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(BODIES), st.data())
def test_damaged_bodies_are_read_or_refused_and_never_more(body: tuple[str, bytes], data: st.DataObject) -> None:
    content_type, whole = body
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(raw), len(raw), data.draw(st.integers(0, len(raw)))]))
    with contextlib.suppress(RequestError):
        for tensor in read(bytes(raw[:cut]), content_type, SIGNATURE).values():
            assert tensor.shape[0] >= 1


@pytest.mark.parametrize(
    ("values", "signature", "words"),
    [
        ([{"k": 1}], one("FP32"), "has the type struct"),
        (pa.array([dt.time(1)]), one("INT64"), "has the type time64"),
        (pa.array([dt.timedelta(1)]), one("INT64"), "has the type duration"),
        ([[1], [1, 2]], one("FP32", -1), "lists of different lengths, 1 and 2"),
        ([[1], None], one("FP32", 1), "null in the place of a list, the first in row 1"),
        ([None, None], one("INT64"), "holds null in row 0"),
        ([1, None], one("INT64"), "holds null in row 1"),
        (["a"], one("INT64"), "holds text in row 0"),
        ([1], one("BYTES"), "holds a whole number in row 0"),
        (pa.array([], pa.int64()), one("INT64"), "has no rows"),
        (pa.array([[]], pa.list_(pa.int64())), one("INT64", -1), "has no values"),
        (pa.array([b"a"], pa.binary(1)), one("FP32"), "holds bytes in row 0"),
        (pa.array([2.5]), one("INT64"), "a number with a fraction in row 0"),
        (pa.array([float("inf")]), one("INT64"), "a number with a fraction in row 0"),
        (pa.array([1e19]), one("INT64"), "outside INT64"),
        (pa.array([2]), one("BOOL"), "holds another number in row 0"),
    ],
)
def test_columns_that_fit_no_input_are_refused_by_name(values: Any, signature: Signature, words: str) -> None:
    assert words in refusal(values, signature)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return [value]


def test_lists_that_are_nested_too_deep_are_refused() -> None:
    assert "nested too deep" in refusal(nested(40), one("INT64"))


def test_tensors_of_a_fixed_shape_are_rows() -> None:
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12, dtype=np.float32).reshape(2, 2, 3))
    found = read(arrow_stream(pa.table({"x": tensors})), STREAM, one("FP32", 2, 3))["x"]
    assert as_array(found).tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    turned = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[1, 0]), tensors.storage
    )
    assert "permuted" in refusal(turned, one("FP32", 2, 3))


def test_other_kinds_of_extension_are_what_they_are_stored_as() -> None:
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([bytes(16)], pa.binary(16)))
    assert read(arrow_stream(pa.table({"x": ids})), STREAM, one("BYTES"))["x"].data == [bytes(16)]


def test_other_kinds_of_text_numbers_and_dates_are_read() -> None:
    views = pa.array(["a", "b" * 20], pa.string_view())
    assert read(arrow_stream(pa.table({"x": views})), STREAM, one("BYTES"))["x"].data == [b"a", b"b" * 20]
    days = pa.table({"x": pa.array([dt.date(1970, 1, 2)], pa.date32())})
    milliseconds = pa.table({"x": pa.array([dt.date(1970, 1, 2)], pa.date64())})
    for table in (days, milliseconds):
        assert read(arrow_stream(table), STREAM, one("BYTES"))["x"].data == [b"1970-01-02"]
    gaps = pa.table({"x": pa.array([5, None, 5]).dictionary_encode()})
    found = read(arrow_stream(gaps), STREAM, one("FP32"), Policy(missing_is_nan=True))["x"]
    np.testing.assert_array_equal(as_array(found), [5, np.nan, 5])
    words = pa.DictionaryArray.from_arrays([0, 1], pa.array([7, None]))
    found = read(arrow_stream(pa.table({"x": words})), STREAM, one("FP32"), Policy(missing_is_nan=True))["x"]
    np.testing.assert_array_equal(as_array(found), [7, np.nan])
    batches = pa.chunked_array([pa.array([], pa.int8())])
    assert "no rows" in refusal(batches, one("INT64"))


def test_lists_of_every_kind_are_rows() -> None:
    for kind in (pa.list_(pa.float32()), pa.large_list(pa.float32()), pa.list_(pa.float32(), 2)):
        found = read(arrow_stream(pa.table({"x": pa.array([[1, 2], [3, 4]], kind)})), STREAM, one("FP32", 2))["x"]
        assert as_array(found).tolist() == [[1, 2], [3, 4]]


def test_decimals_are_numbers() -> None:
    values = pa.array([Decimal("1.50"), None])
    found = read(arrow_stream(pa.table({"x": values})), STREAM, one("FP32"), Policy(missing_is_nan=True))["x"]
    np.testing.assert_array_equal(as_array(found), [1.5, np.nan])


def test_an_index_without_a_name_is_left_aside() -> None:
    table = pa.table({"x": [1], "__index_level_0__": ["left"]})
    assert as_array(read(arrow_stream(table), STREAM, one("INT64"))["x"]).tolist() == [1]


@pytest.mark.parametrize(
    "values",
    [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), ["a" * 5000]),
        pa.array(np.zeros(200_000, np.int8)).dictionary_encode(),
        pa.nulls(900_000),
        pa.nulls(10**7),
    ],
)
def test_values_that_are_repeated_are_counted_as_often(values: Any) -> None:
    assert "--max-body-mb" in refusal(values, one("FP32"), Code.PAYLOAD_TOO_LARGE)


def test_lists_of_words_in_parquet_are_counted_by_the_longest() -> None:
    words = pa.array([["a" * 1000]] * 5000)
    with pytest.raises(RequestError) as caught:
        read(parquet(pa.table({"x": words})), PARQUET, one("BYTES", 1))
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE
    assert len(read(parquet(pa.table({"x": words[:500]})), PARQUET, one("BYTES", 1))["x"].data) == 500


def test_more_rows_than_bytes_are_refused() -> None:
    raw = parquet(pa.table({"x": pa.nulls(2_000_000)}))
    with pytest.raises(RequestError) as caught:
        read(raw, PARQUET, one("FP32"))
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE


def test_decimals_of_an_absurd_scale_are_refused() -> None:
    far = pa.array([1], pa.int64()).cast(pa.decimal128(38, 0)).view(pa.decimal128(38, -100))
    assert "scale -100" in refusal(far, one("FP64"))


def test_without_pyarrow_both_are_unsupported_and_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for content_type, raw in (BODIES[0], BODIES[-1]):
        with pytest.raises(RequestError) as caught:
            read(raw, content_type, SIGNATURE)
        assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE
        assert "salver[arrow]" in caught.value.fix


# Headers


@given(st.binary(max_size=200), st.binary(max_size=64))
def test_any_bytes_as_a_header_are_counted_or_refused(header: bytes, body: bytes) -> None:
    with contextlib.suppress(ValueError):
        unfolded, _ = unfolded_bytes(header, body)
        assert unfolded >= 0


def test_a_buffer_that_claims_the_impossible_is_refused() -> None:
    message = next(iter_batches(arrow_stream(pa.table({"x": np.zeros(1000)}), compression="zstd")))
    header, body = bytes(message.metadata), bytes(message.body)
    assert unfolded_bytes(header, body) == (8000, 1000)
    assert unfolded_bytes(header, struct.pack("<q", -1) + body[8:])[0] < 8000
    with pytest.raises(ValueError, match="impossible length"):
        unfolded_bytes(header, struct.pack("<q", -2) + body[8:])
    with pytest.raises(ValueError, match="outside of itself"):
        unfolded_bytes(header, b"")


def header_of(count: int, *buffers: tuple[int, int], has_buffers: bool = True) -> bytes:
    """The header of a record batch, laid out by hand."""
    raw = bytearray(96)
    struct.pack_into("<I", raw, 0, 32)
    struct.pack_into("<5H", raw, 16, 10, 12, 0, 4, 8)
    struct.pack_into("<iBxxxI", raw, 32, 16, 3, 24)
    struct.pack_into("<5H", raw, 48, 10, 16, 0, 0, 8 if has_buffers else 0)
    struct.pack_into("<i", raw, 64, 16)
    struct.pack_into("<I", raw, 72, 8)
    struct.pack_into("<I", raw, 80, count)
    return bytes(raw[:84]) + b"".join(struct.pack("<qq", *buffer) for buffer in buffers)


def test_headers_by_hand_are_counted_or_refused() -> None:
    assert unfolded_bytes(header_of(2, (0, 8), (8, 5)), b"") == (13, 0)
    assert unfolded_bytes(header_of(0, has_buffers=False), b"") == (0, 0)
    for header, words in (
        (header_of(2_000_000), "too many buffers"),
        (header_of(1, (-1, 8)), "outside of its batch"),
        (header_of(1), "outside of itself"),
        (struct.pack("<Ii", 4, 100), "outside of itself"),
    ):
        with pytest.raises(ValueError, match=words):
            unfolded_bytes(header, b"")


def test_messages_of_a_file_are_counted_as_often_as_its_footer_names_them() -> None:
    raw = arrow_stream(pa.table({"x": np.zeros(1000)}), new=pa.ipc.new_file, compression="zstd")
    ((begin, end),) = file_blocks(raw)
    assert 0 < begin < end < len(raw)
    empty = struct.pack("<IHHi", 8, 4, 4, 4)
    assert file_blocks(empty + struct.pack("<i", len(empty)) + b"ARROW1") == []
    words = pa.table({"x": pa.array(["a"]).dictionary_encode()})
    assert len(file_blocks(arrow_stream(words, new=pa.ipc.new_file))) == 2


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"ARROW1", "outside of"),
        (b"ARROW1\0\0" + struct.pack("<i", 100) + b"ARROW1", "outside of the file"),
        (b"ARROW1\0\0" + struct.pack("<i", -1) + b"ARROW1", "outside of the file"),
        (b"ARROW1\0\0" + bytes(4) + b"ARROW1", "outside of itself"),
    ],
)
def test_footers_that_are_none_are_refused(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        file_blocks(raw)


@pytest.mark.parametrize(("offset", "length"), [(-8, 8), (2**40, 8)])
def test_messages_outside_of_their_file_are_refused(offset: int, length: int) -> None:
    raw = bytearray(arrow_stream(pa.table({"x": [1]}), new=pa.ipc.new_file))
    ((begin, _),) = file_blocks(bytes(raw))
    at = raw.rindex(struct.pack("<q", begin))
    struct.pack_into("<q", raw, at, offset)
    with pytest.raises(RequestError, match="outside of the file"):
        read(bytes(raw), STREAM, one("INT64"))


@given(st.binary(max_size=200))
def test_any_bytes_as_a_file_are_told_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert all(begin <= end for begin, end in file_blocks(raw))


def iter_batches(raw: bytes) -> Any:
    return (message for message in pa.ipc.MessageReader.open_stream(raw) if message.type == "record batch")


@given(st.binary(max_size=100))
def test_any_bytes_as_pages_are_counted_or_refused(raw: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert all(page.size >= 0 for page in pages(raw))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"\x15", "does not end"),
        (b"\x15" + b"\xff" * 11, "a number in a page header does not end"),
        (b"\x1f\x00", "no known kind"),
        (b"\x1c" * 20, "nested too deep"),
        (b"\x19\xf5\xff\xff\xff\xff\x0f", "too long"),
        (b"\x00", "impossible size"),
        (b"\x25\x01\x15\x00\x00", "impossible size"),
    ],
)
def test_page_headers_that_are_none_are_refused(raw: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        list(pages(raw))


def test_every_kind_of_field_is_passed_over() -> None:
    fields = b"\x11\x12\x13\x07\x14\x02\x17" + bytes(8) + b"\x18\x02ab\x19\x21\x01\x02\x19\x15\x02\x05\x16\x04\x00"
    assert Reader(fields).struct() == {1: True, 2: False, 3: 7, 4: 1, 5: None, 6: None, 7: None, 8: None, 11: 2}


def test_a_column_that_lies_outside_of_its_file_is_refused() -> None:
    chunk = SimpleNamespace(data_page_offset=4, dictionary_page_offset=None, total_compressed_size=10)
    assert bytes(_bytes_of(chunk, memoryview(bytes(range(20))))) == bytes(range(4, 14))
    for size in (17, -1):
        chunk.total_compressed_size = size
        with pytest.raises(ValueError, match="outside of the file"):
            _bytes_of(chunk, memoryview(bytes(20)))
