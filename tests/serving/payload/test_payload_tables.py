"""Tables and documents that do not fit, and the parts of formats that the common table does not reach."""

from __future__ import annotations

import decimal
import zipfile
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.serving.payload import body_to_inputs, media
from salver.serving.payload.policy import STRICT, Policy
from salver.types import Part, Signature, Tensor, TensorSpec, as_array
from table_bodies import npy

CSV, JSON, NDJSON = "text/csv", "application/json", "application/x-ndjson"
MSGPACK, NPZ = "application/msgpack", "application/x-npz"


def signature(*inputs: tuple[str, str, tuple[int, ...]], columns: tuple[str, ...] = ()) -> Signature:
    specs = [TensorSpec(name=name, datatype=datatype, shape=shape, columns=columns) for name, datatype, shape in inputs]
    return Signature(inputs=tuple(specs), outputs=())


PAIR = signature(("a", "INT32", (-1,)), ("b", "FP32", (-1,)))
ROWS = signature(("x", "FP32", (-1, 2)))
NAMED = signature(("x", "FP32", (-1, 2)), columns=("tall", "wide"))
WORDS = signature(("t", "BYTES", (-1,)))
FLAGS = signature(("f", "BOOL", (-1,)))
WHOLE = signature(("n", "INT64", (-1,)))


def read(body: Any, content_type: str, of: Signature, policy: Policy = STRICT) -> dict[str, Tensor]:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return body_to_inputs([Part("body", content_type, raw)], of, policy)[0]


def listed(body: Any, content_type: str, of: Signature, policy: Policy = STRICT) -> Any:
    found = [as_array(tensor).tolist() for tensor in read(body, content_type, of, policy).values()]
    return found[0] if len(found) == 1 else found


def refusal(
    body: Any, content_type: str, of: Signature, policy: Policy = STRICT, code: Code = Code.INVALID_INPUT
) -> str:
    with pytest.raises(RequestError) as caught:
        read(body, content_type, of, policy)
    assert caught.value.code is code
    return caught.value.message


# CSV


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"a,b\n1,2\n3,4", CSV),
        (b"b,a\n2,1\n4,3", CSV),
        (b"1,2\n3,4", CSV),
        (b"1,2\n3,4", "text/csv; header=absent"),
        (b"a;b\r\n1;2\r\n\r\n3;4\r\n", 'text/csv; charset=utf-8; delimiter=";"'),
        (b'"a"\t"b"\n"1"\t2\n3\t"4"', "text/csv;header=present;delimiter=tab"),
    ],
)
def test_csv_is_read_with_headings_and_without(body: bytes, content_type: str) -> None:
    assert listed(body, content_type, PAIR) == [[1, 3], [2.0, 4.0]]


def test_headings_of_known_columns_put_them_in_their_place() -> None:
    assert listed(b"wide,tall\n1,2", CSV, NAMED) == [[2.0, 1.0]]
    assert listed(b"1,2", "text/csv; header=absent", NAMED) == [[1.0, 2.0]]
    assert "'tall' missing" in refusal(b"wide,high\n1,2", CSV, NAMED)


def test_text_in_csv_is_taken_as_it_is() -> None:
    assert read(b't\n5\n""\n"a,\r\nb"', "text/csv; header=present", WORDS)["t"].data == [b"5", b"", b"a,\r\nb"]
    assert read(b"t\n5", CSV, WORDS)["t"].data == [b"t\n5"]  # without a word on its lines it is one element


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"1,2", "text/csv; header=perhaps", "neither present nor absent"),
        (b"1,2", "text/csv; delimiter=ab", "not one character"),
        (b"1,2", 'text/csv; delimiter="', "not one character"),
        (b"a,b", "text/csv; header=present", "a line of headings and no other"),
        (b'"1,2', CSV, "unexpected end"),
        (b'1,"' + b"2" * 140_000 + b'"', CSV, "a cell is longer than the limit"),
        (b"a,a\n1,2", "text/csv; header=present", "two columns named 'a'"),
        (b"1,2\n1.5,2", CSV, "'1.5' in line 2, column 'a', which is not a whole number"),
        (b"1,2\n1_0,2", CSV, "'1_0' in line 2, column 'a'"),
        (b"1,2\n1,1_0", CSV, "'1_0' in line 2, column 'b'"),
        (b"1,2\n1,inf", CSV, "'inf' in line 2"),
        (b"1,2\n,2", CSV, "holds nothing in line 2, column 'a'"),
        (b"1,2\n%s,2", CSV, "'%s' in line 2"),
    ],
)
def test_csv_that_cannot_be_taken_is_refused_with_its_place(body: bytes, content_type: str, words: str) -> None:
    assert words in refusal(body, content_type, PAIR)


def test_cells_say_true_and_false_in_any_letters() -> None:
    assert listed(b"TRUE\nfalse\n1\n0.0", CSV, FLAGS) == [True, False, True, False]
    assert listed(b"true\n1e3", CSV, WHOLE) == [1, 1000]
    assert "'2' in line 1, column '0', which is not true or false" in refusal(b"2", CSV, FLAGS)


# Documents


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"dataframe_split": [1]}, "an object with 'columns' and 'data'"),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, "an object with 'columns' and 'data'"),
        ({"dataframe_split": {"columns": [None], "data": [[1]]}}, "must be a list of names"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [1]]}}, "Row 1 of the table"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [1]}}, "Row 0 of the table"),
        ({"dataframe_split": {"columns": [], "data": [[]]}}, "has no columns"),
        ({"dataframe_records": [1]}, "must be a list of objects"),
        ({"dataframe_records": [{"a": [1], "b": 1}, {"a": [1, 2], "b": 2}]}, "lists of different lengths"),
        ({"dataframe_records": [{"a": 1, "b": 2}], "id": 1}, "Beside 'dataframe_records'"),
        ([{"a": 1}, {"b": 2}], "holds null in row 1, column 'a'"),
        ([{"a": 1, "b": 2, "c": 3}], "'c' unknown"),
        ([{"a": [1, 2], "b": 2}], "rows of the shape []"),
    ],
)
def test_data_frames_that_cannot_be_read_are_refused_in_words(document: Any, words: str) -> None:
    assert words in refusal(document, JSON, PAIR)


def test_a_split_without_names_numbers_its_columns() -> None:
    assert listed({"dataframe_split": {"data": [[1, 2]]}}, JSON, ROWS) == [[1.0, 2.0]]


def test_cells_of_lists_are_rows_of_more_dimensions() -> None:
    cube = signature(("m", "FP32", (-1, 2, 2)))
    assert listed([{"m": [[1, 2], [3, 4]]}], JSON, cube) == [[[1.0, 2.0], [3.0, 4.0]]]
    assert listed([{"a": 1, "b": 2, "c": 3, "d": 4}], JSON, cube) == [[[1.0, 2.0], [3.0, 4.0]]]
    assert "the column 'a' holds lists" in refusal([{"a": [1], "b": 2}], JSON, ROWS)
    assert "has no values" in refusal([{"x": []}], JSON, signature(("x", "FP32", (-1, -1))))


def test_texts_side_by_side_are_rows_of_text() -> None:
    pairs = signature(("t", "BYTES", (-1, 2)))
    assert read([{"p": "a", "q": "b"}, {"p": "c", "q": "d"}], JSON, pairs)["t"] == Tensor(
        "BYTES", (2, 2), [b"a", b"b", b"c", b"d"]
    )


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "n", "datatype": "INT64", "shape": [2], "data": [1, 2], **changes}


def test_tensors_with_their_shape_beside_them_are_read() -> None:
    assert listed({"inputs": [tensor(data=[[1], [2]])]}, JSON, WHOLE) == [1, 2]
    assert listed({"inputs": [tensor(shape=[1], data=1)]}, JSON, WHOLE) == [1]
    words = tensor(name="t", datatype="BYTES", data=["a", {"b64": "Yg=="}])
    assert read({"inputs": [words]}, JSON, WORDS)["t"].data == [b"a", b"b"]


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (tensor(datatype="INT32"), "the request says INT32"),
        (tensor(shape="2"), "not a list of sizes"),
        (tensor(shape=[-2]), "not a list of sizes"),
        (tensor(shape=[3]), "has 2 values, and its shape [3] takes 3"),
        (tensor(name="m"), "the request brings 'm'"),
        (tensor(name=1), "the request brings others"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_in_words(item: Any, words: str) -> None:
    assert words in refusal({"inputs": [item]}, JSON, WHOLE)


def test_raw_tensors_in_msgpack_are_held_to_their_size() -> None:
    raw = msgspec.msgpack.encode({"inputs": [tensor(data=bytes(15))]})
    assert "is 16 bytes long as INT64, not 15" in refusal(raw, MSGPACK, WHOLE)
    text = msgspec.msgpack.encode({"inputs": [tensor(name="t", datatype="BYTES", data=b"ab")]})
    assert "takes elements" in refusal(text, MSGPACK, WORDS)


def test_lines_of_json_are_rows() -> None:
    assert listed(b'{"b":2,"a":1}\n\n{"a":3,"b":4}\r\n', NDJSON, PAIR) == [[1, 3], [2.0, 4.0]]
    assert listed(b"[1,2]\n[3,4]", NDJSON, ROWS) == [[1.0, 2.0], [3.0, 4.0]]
    assert "Line 2 is not JSON" in refusal(b"1\n{", NDJSON, WHOLE)
    assert "no lines" in refusal(b" \n", NDJSON, WHOLE)


def test_rows_of_one_value_may_come_without_their_dimension() -> None:
    single = signature(("x", "FP32", (-1, 1)))
    for body, content_type in (
        (b"[1,2]", JSON),
        (b"1\n2", CSV),
        (b'{"a":1}\n{"a":2}', NDJSON),
        (npy(np.array([1, 2])), "application/npy"),
    ):
        assert listed(body, content_type, single) == [[1.0], [2.0]]


def test_a_part_of_a_form_may_be_a_table_of_its_own() -> None:
    parts = [Part("a", NDJSON, b"1\n2"), Part("b", CSV, b"-.5\n.5")]
    inputs, rows = body_to_inputs(parts, PAIR)
    assert rows == 2
    assert [as_array(tensor).tolist() for tensor in inputs.values()] == [[1, 2], [-0.5, 0.5]]


def test_more_columns_than_anybody_needs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salver.serving.payload.columns.MAX_COLUMNS", 2)
    assert "at most 2 are read" in refusal(b"1,2,3", CSV, ROWS)


# msgpack


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not msgpack"),
        (b"\xc1", "not msgpack"),
        (b"\x91" * 5000, "nested too deep"),
        (b"\xdd\xff\xff\xff\xff", "not msgpack"),
        (msgspec.msgpack.encode(msgspec.msgpack.Ext(5, b"x")), "not msgpack"),
        (b"\xa1\xff", "not msgpack"),
        (msgspec.msgpack.encode({1: 2}), "'n' missing, '1' unknown"),
        (msgspec.msgpack.encode([{1: 2}]), "names of a table's columns must be text"),
        (msgspec.msgpack.encode({"n": [b"1"]}), "holds bytes in row 0"),
    ],
)
def test_msgpack_that_cannot_be_read_is_refused_in_words(raw: bytes, words: str) -> None:
    assert words in refusal(raw, MSGPACK, WHOLE)


def test_msgpack_may_have_a_quarter_of_the_limit() -> None:
    raw = msgspec.msgpack.encode([1] * 100)
    assert "a quarter" in refusal(raw, MSGPACK, WHOLE, Policy(max_bytes=400), Code.PAYLOAD_TOO_LARGE)


# .npz


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return file.getvalue()


def test_arrays_of_an_npz_are_inputs_by_their_names() -> None:
    raw = zipped(a=npy(np.array([1, 2], np.int8)), b=npy(np.array([0.5, np.nan])))
    found = read(raw, NPZ, PAIR)
    assert as_array(found["a"]).tolist() == [1, 2]
    np.testing.assert_array_equal(as_array(found["b"]), np.array([0.5, np.nan], np.float32))
    assert listed(zipped(arr_0=npy(np.array([7]))), NPZ, WHOLE) == [7]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "not a whole zip"),
        (b"PK\x03\x04", "not a whole zip"),
        (zipped(a=npy(np.array([1]))), "'b' missing"),
        (zipped(zipfile.ZIP_BZIP2, a=b"", b=b""), "not a stored or deflated"),
        (zipped(a=b"", b=b""), "is not a .npy file"),
        (zipped(**{f"m{number}": b"" for number in range(1001)}), "1001 members"),
        (zipped(a=npy(np.array([1])))[:-30], "not a whole zip"),
        (zipped(a=npy(np.array([object()], object)[:0].astype(float)), b=b"")[:60], "not a whole zip"),
    ],
)
def test_an_npz_that_cannot_be_read_is_refused_in_words(raw: bytes, words: str) -> None:
    assert words in refusal(raw, NPZ, PAIR)


def test_an_npz_is_held_to_the_limit_once_it_is_unpacked() -> None:
    raw = zipped(a=npy(np.zeros(10_000)), b=npy(np.zeros(10_000)))
    assert "--max-body-mb" in refusal(raw, NPZ, PAIR, Policy(max_bytes=100_000), Code.PAYLOAD_TOO_LARGE)


# Single values


def test_decimals_are_numbers() -> None:
    from salver.serving.payload.leaves import Where, coerced

    values = [decimal.Decimal("1.50"), decimal.Decimal("2")]
    spec = PAIR.inputs[1]
    assert coerced(values, spec, Where()).tolist() == [1.5, 2.0]
    with pytest.raises(RequestError, match="a number with a fraction in row 0"):
        coerced(values, WHOLE.inputs[0], Where())


def test_dates_that_have_no_text_are_refused() -> None:
    from salver.serving.payload.leaves import Where, coerced
    from salver.serving.payload.moments import DAY, Moment

    assert coerced([Moment(DAY, has_time=False)], WORDS.inputs[0], Where()) == [b"1970-01-02"]
    assert coerced([Moment(1, is_utc=True)], WORDS.inputs[0], Where()) == [b"1970-01-01T00:00:00.000000001Z"]
    for ns in (10**9 * DAY, 3_000_000 * DAY):
        with pytest.raises(RequestError, match="not in the years 1 to 9999"):
            coerced([Moment(ns)], WORDS.inputs[0], Where())


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00", 0),
        ("1970-01-01 00:00:01,5", 1500),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1969-12-31T23:00:00-0100", 0),
        ("1970-01-01T00:00:00z", 0),
    ],
)
def test_iso_text_is_a_date_once_its_unit_is_named(text: str, ms: int) -> None:
    assert listed({"n": [text]}, JSON, WHOLE, Policy(dates="ms")) == [ms]
    assert listed(b'n\n"' + text.encode() + b'"', "text/csv; header=present", WHOLE, Policy(dates="ms")) == [ms]
    assert "holds text in row 0" in refusal({"n": [text]}, JSON, WHOLE)


@pytest.mark.parametrize("text", ["", "1970", "1970-13-01", "1970-01-01T25:00", "1970-01-01T00:00+25:00", "5"])
def test_text_that_is_no_date_is_refused(text: str) -> None:
    assert "no date in ISO 8601" in refusal({"n": [text]}, JSON, WHOLE, Policy(dates="s"))


def test_bytes_fit_nothing_but_bytes() -> None:
    assert "takes text or" in refusal({"t": [1]}, JSON, WORDS)
    assert "holds null in row 0" in refusal({"t": [None]}, JSON, WORDS)
    assert "not base64" in refusal({"t": [{"b64": "?"}]}, JSON, WORDS)


# Content types


def test_what_takes_long_is_told_by_its_type_and_size() -> None:
    assert media.takes_long("application/vnd.apache.parquet", 1)
    assert media.takes_long(CSV, media.QUICK_BYTES + 1)
    assert not media.takes_long(CSV, media.QUICK_BYTES)
    assert not media.takes_long("application/octet-stream", 10**9)


def test_parameters_of_a_content_type() -> None:
    assert media.parameter('application/json; Format="Pandas-Split"', "format") == "pandas-split"
    assert media.parameter("application/json", "format") == ""
