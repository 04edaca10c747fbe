"""PREDICT headers to arrays and arrays to RESULT headers, without a process around them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver_worker import frames
from salver_worker.errors import InputError
from salver_worker.failures import OutputInvalid
from salver_worker.gathering import Gathering
from salver_worker.inputs import MAX_REMEMBERED, InputReader
from salver_worker.outputs import OutputWriter
from salver_worker.runtimes.base import signature, tensor

TWO = signature([tensor("x", "FP32", (-1, 2)), tensor("name", "BYTES", (-1,))], [])


def question(*tensors: tuple[Any, ...], **keys: Any) -> bytes:
    return json.dumps({"signature": "serving_default", "tensors": tensors, **keys}).encode()


def reader(*inputs: dict[str, Any], has_batch_dimension: bool = True) -> InputReader:
    return InputReader(signature(inputs, []), has_batch_dimension=has_batch_dimension)


def read(spec: dict[str, Any], *row: Any, body: bytes = b"", slab: bytes | None = None) -> Any:
    view = None if slab is None else memoryview(slab)
    arrays, _ = reader(spec).read(question(row), memoryview(body), view)
    return arrays[spec["name"]]


def pad(raw: bytes) -> bytes:
    return raw + bytes(frames.padding(len(raw)))


def test_tensors_lie_one_after_the_other_each_padded() -> None:
    text = frames.encode_bytes_elements([b"a", b"bc"])
    body = pad(np.array([[1, 2], [3, 4]], "<f4").tobytes()) + pad(text)
    header = question(("x", "FP32", [2, 2], 16), ("name", "BYTES", [2], len(text)))
    arrays, parameters = InputReader(TWO, has_batch_dimension=True).read(header, memoryview(body), None)
    assert arrays["x"].tolist() == [[1, 2], [3, 4]]
    assert arrays["name"].tolist() == [b"a", b"bc"]
    assert parameters == {}


def test_numbers_are_a_read_only_view_of_the_body() -> None:
    body = memoryview(bytearray(np.array([[1, 2]], "<f4").tobytes())).toreadonly()
    arrays, _ = reader(tensor("x", "FP32", (-1, 2))).read(question(("x", "FP32", [1, 2], 8)), body, None)
    assert arrays["x"].base is not None
    assert not arrays["x"].flags.writeable


@pytest.mark.parametrize("datatype", sorted(frames.NUMPY_NAMES))
def test_every_datatype_is_read_and_written(datatype: str) -> None:
    values = np.array([[0, 1]], frames.NUMPY_NAMES[datatype])
    array = read(tensor("x", datatype, (-1, 2)), "x", datatype, [1, 2], values.nbytes, body=pad(values.tobytes()))
    answer = OutputWriter(signature([], [tensor("x", datatype, (-1, 2))])).write({"x": array})
    assert json.loads(answer.header) == {"tensors": [["x", datatype, [1, 2], values.nbytes]]}
    assert b"".join(map(bytes, answer.buffers)) == pad(values.tobytes())
    assert answer.body_length == 64


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_bytes_survive_the_way_there_and_back(elements: list[bytes]) -> None:
    raw = frames.encode_bytes_elements(elements)
    array = read(tensor("x", "BYTES", (-1,)), "x", "BYTES", [len(elements)], len(raw), body=raw)
    answer = OutputWriter(signature([], [])).write({"x": array})
    assert b"".join(map(bytes, answer.buffers)) == pad(raw)


def test_no_rows_are_no_bytes() -> None:
    assert read(tensor("x", "FP32", (-1, 2)), "x", "FP32", [0, 2], 0).shape == (0, 2)


def test_a_tensor_in_the_slab_takes_no_place_in_the_body() -> None:
    slab = bytes(64) + np.array([[7.0, 8.0]], "<f4").tobytes()
    header = question(("x", "FP32", [1, 2], 8, 64), ("name", "BYTES", [1], 5))
    body = memoryview(frames.encode_bytes_elements([b"a"]))
    arrays, _ = InputReader(TWO, has_batch_dimension=True).read(header, body, memoryview(slab))
    assert arrays["x"].tolist() == [[7, 8]]
    assert arrays["name"].tolist() == [b"a"]


def test_numbers_that_all_lie_in_the_slab_are_views_of_it_each_time() -> None:
    subject, slab = reader(tensor("x", "FP32", (-1,))), memoryview(bytearray(64))
    header = question(("x", "FP32", [1], 4, 32))
    for value in (1.0, 2.0):
        slab[32:36] = np.float32(value).tobytes()
        arrays, _ = subject.read(header, memoryview(b""), slab.toreadonly())
        assert arrays["x"].tolist() == [value]
    assert len(subject._layouts) == 1


def test_a_tensor_in_several_places_of_the_slab_is_put_together() -> None:
    slab = memoryview(np.arange(8, dtype="<f4").tobytes())
    subject = reader(tensor("x", "FP32", (-1, 2)))
    for places, rows in ([[[16, 8], [0, 8]], [[4, 5], [0, 1]]], [[[24, 8], [8, 8]], [[6, 7], [2, 3]]]):
        arrays, _ = subject.read(question(("x", "FP32", [2, 2], 16, places)), memoryview(b""), slab)
        assert arrays["x"].tolist() == rows
        assert not arrays["x"].flags.writeable
    assert subject._layouts == {}
    with pytest.raises(InputError, match="before its end"):
        subject.read(question(("x", "FP32", [2, 2], 16, [[0, 8], [28, 8]])), memoryview(b""), slab)


def test_memory_for_what_is_put_together_is_used_again_unless_it_is_very_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salver_worker.gathering.KEPT_BYTES", 100)
    subject, slab = Gathering(), memoryview(bytes(range(200)))
    first = subject.gather("x", [(0, 30), (50, 30)], slab)
    assert bytes(first) == bytes([*range(30), *range(50, 80)])
    second = subject.gather("x", [(10, 20)], slab)
    assert (second.obj is first.obj, len(second)) == (True, 20)
    assert subject.gather("y", [(10, 20)], slab).obj is not first.obj
    large = subject.gather("x", [(0, 150)], slab)
    assert subject.gather("x", [(0, 150)], slab).obj is not large.obj


def test_bf16_arrives_as_float32_and_leaves_as_bf16() -> None:
    spec = tensor("x", "BF16", (-1, 2))
    array = read(spec, "x", "BF16", [1, 2], 4, body=np.array([0x3F80, 0x4000], "<u2").tobytes())
    assert array.dtype == np.float32
    assert array.tolist() == [[1.0, 2.0]]
    answer = OutputWriter(signature([], [spec])).write({"x": array})
    assert json.loads(answer.header) == {"tensors": [["x", "BF16", [1, 2], 4]]}
    assert b"".join(map(bytes, answer.buffers)) == pad(np.array([0x3F80, 0x4000], "<u2").tobytes())


@pytest.mark.parametrize(
    ("sent", "wanted"), [("FP32", "FP64"), ("INT32", "FP64"), ("UINT8", "INT64"), ("BF16", "FP64")]
)
def test_a_narrower_datatype_is_widened(sent: str, wanted: str) -> None:
    size = frames.DATATYPE_SIZES[sent] * 2
    array = read(tensor("x", wanted, (-1, 2)), "x", sent, [1, 2], size, body=bytes(64))
    assert array.dtype == frames.NUMPY_NAMES[wanted]
    assert array.tolist() == [[0, 0]]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("x", "FP64", [1, 2], 16), "must be FP32, not FP64"),
        (("x", "BYTES", [1, 2], 8), "must be FP32, not BYTES"),
        (("x", "FP8", [1, 2], 2), "must be FP32, not FP8"),
        (("x", "FP32", [1, 3], 12), r"must have the shape \[-1, 2\], not \[1, 3\]"),
        (("x", "FP32", [2], 8), r"must have the shape"),
        (("x", "FP32", [-1, 2], 8), "8 bytes"),
        (("x", "FP32", [1, 2], 7), "7 bytes"),
        (("y", "FP32", [1, 2], 8), "no input y; the inputs are: x"),
        (("x", "FP32", [100, 2], 800), "before its end"),
        (("x", "FP32", [1, 2], 8, 0), "lies in a slab"),
    ],
)
def test_a_tensor_that_does_not_fit_is_the_callers_error(row: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tensor("x", "FP32", (-1, 2)), *row, body=bytes(64))


def test_a_slab_that_is_too_short_is_noticed() -> None:
    with pytest.raises(InputError, match="before its end"):
        read(tensor("x", "FP32", (-1, 2)), "x", "FP32", [1, 2], 8, 60, slab=bytes(64))


def test_text_whose_lengths_disagree_is_the_callers_error() -> None:
    with pytest.raises(InputError, match="the input x: an element"):
        read(tensor("x", "BYTES", (-1,)), "x", "BYTES", [1], 5, body=b"\x09\x00\x00\x00a")


def test_every_input_must_be_there() -> None:
    with pytest.raises(InputError, match="the input name is missing"):
        InputReader(TWO, has_batch_dimension=True).read(question(("x", "FP32", [1, 2], 8)), memoryview(bytes(64)), None)


def test_inputs_of_different_rows_are_refused_where_rows_count() -> None:
    specs = [tensor("a", "INT8", (-1,)), tensor("b", "INT8", (-1,))]
    header = question(("a", "INT8", [1], 1), ("b", "INT8", [2], 2))
    with pytest.raises(InputError, match="different numbers of rows: 1, 2"):
        reader(*specs).read(header, memoryview(bytes(128)), None)
    arrays, _ = reader(*specs, has_batch_dimension=False).read(header, memoryview(bytes(128)), None)
    assert arrays["b"].shape == (2,)


def test_another_signature_is_unknown() -> None:
    with pytest.raises(InputError, match="no signature 'other'"):
        reader(tensor("x", "FP32", (-1,))).read(question(signature="other"), memoryview(b""), None)


@pytest.mark.parametrize(
    "row",
    [
        ("x", "FP32", [1]),
        ("x", "FP32", [1], "4"),
        ("x", "FP32", ["1"], 4),
        ("x", "FP32", [1], -4),
        5,
        ("x", "FP32", 1, 4),
        ("x", "FP32", [1], 4, "0"),
        ("x", "FP32", [1], 4, [[0, 3]]),
        ("x", "FP32", [1], 4, [[0, 5], [0, -1]]),
        ("x", "FP32", [1], 4, [[0, 4, 0]]),
    ],
)
def test_a_row_that_is_no_row_is_the_servers_error(row: Any) -> None:
    with pytest.raises(frames.FrameError, match="a row of `tensors`"):
        reader(tensor("x", "FP32", (-1,))).read(question(row), memoryview(bytes(64)), None)


def test_a_header_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr("salver_worker.inputs.decode_header", lambda raw: seen.append(raw) or frames.decode_header(raw))
    subject, header = reader(tensor("x", "FP32", (-1,))), question(("x", "FP32", [1], 4))
    for _ in range(3):
        subject.read(header, memoryview(bytes(64)), None)
    assert len(seen) == 1


def test_the_header_of_an_answer_is_made_once() -> None:
    writer = OutputWriter(signature([], []))
    first, second = (writer.write({"y": np.full((1, 2), value)}) for value in (1.0, 2.0))
    assert first.header is second.header
    assert first.buffers[0].tolist() != second.buffers[0].tolist()


def test_headers_that_will_not_come_again_are_not_kept() -> None:
    subject = reader(tensor("x", "FP32", (-1,)))
    _, parameters = subject.read(question(("x", "FP32", [1], 4), parameters={"k": 1}), memoryview(bytes(64)), None)
    assert parameters == {"k": 1}
    assert subject._layouts == {}


def test_what_is_remembered_is_bounded() -> None:
    subject, writer = reader(tensor("x", "INT8", (-1,))), OutputWriter(signature([], []))
    for rows in range(MAX_REMEMBERED + 10):
        arrays, _ = subject.read(question(("x", "INT8", [rows], rows)), memoryview(bytes(1024)), None)
        writer.write(arrays)
    assert len(subject._layouts) == len(writer._forms) == 10


@pytest.mark.parametrize(
    ("array", "datatype"),
    [
        (np.array([["a", "b"]]), "BYTES"),
        (np.array([[b"a", b"b"]]), "BYTES"),
        (np.array([[1, 2]], ">i4"), "INT32"),
        (np.array([[1.0, 2.0], [3.0, 4.0]])[:, ::-1][:1], "FP64"),
        (np.array([[True, False]]), "BOOL"),
    ],
)
def test_arrays_of_any_layout_are_written_row_by_row(array: Any, datatype: str) -> None:
    answer = OutputWriter(signature([], [])).write({"y": array})
    ((name, written, shape, size),) = json.loads(answer.header)["tensors"]
    raw = b"".join(map(bytes, answer.buffers))[:size]
    assert (name, written, shape) == ("y", datatype, [1, 2])
    if datatype == "BYTES":
        assert frames.decode_bytes_elements(raw, 2) == [b"a", b"b"]
    else:
        assert np.frombuffer(raw, frames.NUMPY_NAMES[datatype]).tolist() == array.ravel().tolist()


@pytest.mark.parametrize(
    ("outputs", "reason"),
    [
        ({"y": np.zeros((1, 2), "f8")}, "the output y is FP64, and the signature says FP32"),
        ({"z": np.zeros((1, 2), "f4")}, "the output y of the signature is missing"),
        ({"y": np.zeros(1, "f4"), "z": np.zeros(1, "f4")}, "an output z that the signature does not name"),
        ({"y": np.zeros(1, complex)}, "complex128, which does not travel"),
        ({"y": np.array([None])}, "the output y holds NoneType"),
    ],
)
def test_an_answer_that_is_not_what_the_signature_says_is_invalid(outputs: dict[str, Any], reason: str) -> None:
    with pytest.raises(OutputInvalid, match=reason):
        OutputWriter(signature([], [tensor("y", "FP32", (-1, 2))])).write(outputs)
