"""TensorProto to a tensor and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.types import as_array
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.rpc.dtypes import type_text
from salver.wire.tfserving.rpc.tensors import proto_of, tensor_of

MIB = 1 << 20
NUMBERS = {
    "BOOL": [True, False],
    "INT8": [-128, 127],
    "INT16": [-32768, 32767],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "UINT8": [0, 255],
    "UINT16": [0, 65535],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "FP16": [0.5, -2.0],
    "FP32": [0.1, float("-inf")],
    "FP64": [0.1, 1e300],
}


def proto(dtype: str, shape: tuple[int, ...], **fields: Any) -> tf.TensorProto:
    dims = [tf.TensorShapeProto.Dim(size=size) for size in shape]
    return tf.TensorProto(dtype=dtype, tensor_shape=tf.TensorShapeProto(dim=dims), **fields)


def values(sent: tf.TensorProto) -> Any:
    return as_array(tensor_of("x", sent, MIB)).tolist()


def refusal(sent: tf.TensorProto, max_bytes: int = MIB) -> tuple[Code, str]:
    with pytest.raises(RequestError) as raised:
        tensor_of("x", sent, max_bytes)
    return raised.value.code, raised.value.message


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_go_out_in_their_field_and_come_back(datatype: str) -> None:
    from salver_worker.frames import NUMPY_NAMES

    array = np.array([NUMBERS[datatype]] * 3, NUMPY_NAMES[datatype])
    sent = proto_of(array, datatype)
    assert not sent.tensor_content
    assert [dim.size for dim in sent.tensor_shape.dim] == [3, 2]
    again = tensor_of("x", tf.TensorProto.FromString(sent.SerializeToString()), MIB)
    assert (again.datatype, again.shape) == (datatype, (3, 2))
    assert np.array_equal(as_array(again), array)


def test_halves_of_brains_go_as_their_bits() -> None:
    bits = np.array([[0x3F80, 0xC000]], np.uint16)
    sent = proto_of(bits, "BF16")
    assert list(sent.half_val) == [0x3F80, 0xC000]
    assert tensor_of("x", sent, MIB).data == bits.tobytes()


def test_text_goes_as_bytes_whatever_it_is() -> None:
    array = np.array([b"\xff", "é", 7], object)
    sent = proto_of(array, "BYTES")
    assert list(sent.string_val) == [b"\xff", "é".encode(), b"7"]
    assert tensor_of("x", sent, MIB).data == [b"\xff", "é".encode(), b"7"]


@pytest.mark.parametrize("size", [1, 31, 32, 5000])
def test_arrays_of_any_length_and_layout_are_written_whole(size: int) -> None:
    array = np.arange(2 * size, dtype=np.float32).reshape(2, size)[:, ::-1]
    assert np.array_equal(as_array(tensor_of("x", proto_of(array, "FP32"), MIB)), array)


def test_an_output_without_values_has_none() -> None:
    sent = proto_of(np.zeros((0, 4), np.float32), "FP32")
    assert (len(sent.float_val), values(sent)) == (0, [])


def test_a_scalar_has_a_shape_without_dimensions() -> None:
    sent = proto_of(np.array(2.5), "FP64")
    assert sent.HasField("tensor_shape")
    assert values(sent) == 2.5


def test_content_is_taken_as_it_lies() -> None:
    raw = np.array([[1.5, 2.5]], "<f4").tobytes()
    assert tensor_of("x", proto("DT_FLOAT", (1, 2), tensor_content=raw), MIB).data == raw


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (proto("DT_FLOAT", (4,), float_val=[1, 2]), [1, 2, 2, 2]),
        (proto("DT_INT8", (3,), int_val=[7]), [7, 7, 7]),
        (proto("DT_HALF", (2,), half_val=[0x3C00]), [1.0, 1.0]),
        (proto("DT_INT64", (2, 2)), [[0, 0], [0, 0]]),
        (proto("DT_BOOL", ()), False),
        (proto("DT_STRING", (3,), string_val=[b"a", b"b"]), [b"a", b"b", b"b"]),
        (proto("DT_STRING", (2,)), [b"", b""]),
        (proto("DT_STRING", (2,), tensor_content=b"\x01\x02abc"), [b"a", b"bc"]),
        (proto("DT_STRING", (1,), tensor_content=b"\xc8\x01" + b"a" * 200), [b"a" * 200]),
    ],
)
def test_the_last_value_counts_for_those_that_are_missing(sent: tf.TensorProto, expected: Any) -> None:
    assert values(sent) == expected


@pytest.mark.parametrize(
    "sent",
    [
        tf.TensorProto(),
        tf.TensorProto(dtype="DT_COMPLEX64"),
        tf.TensorProto(dtype="DT_FLOAT", tensor_shape=tf.TensorShapeProto(unknown_rank=True)),
        proto("DT_FLOAT", (-1,)),
        proto("DT_FLOAT", (2,), tensor_content=b"abc"),
        proto("DT_FLOAT", (1,), float_val=[1, 2]),
        proto("DT_BOOL", (1,), tensor_content=b"\x02"),
        proto("DT_INT8", (1,), int_val=[128]),
        proto("DT_UINT8", (1,), int_val=[-1]),
        proto("DT_HALF", (1,), half_val=[70000]),
        proto("DT_STRING", (1,), string_val=[b"a", b"b"]),
        proto("DT_STRING", (2,), tensor_content=b"\x01a"),
        proto("DT_STRING", (2,), tensor_content=b"\x01"),
        proto("DT_STRING", (1,), tensor_content=b"\x02a"),
        proto("DT_STRING", (1,), tensor_content=b"\xff" * 10),
    ],
)
def test_what_is_no_tensor_is_refused(sent: tf.TensorProto) -> None:
    assert refusal(sent) == (Code.INVALID_INPUT, "tensor parsing error: x")


@pytest.mark.parametrize(
    "sent",
    [proto("DT_FLOAT", (10**9, 10**9), float_val=[1]), proto("DT_STRING", (1000,)), proto("DT_INT8", (4097,))],
)
def test_a_few_bytes_cannot_ask_for_any_number_of_values(sent: tf.TensorProto) -> None:
    code, text = refusal(sent, 4096)
    assert code is Code.PAYLOAD_TOO_LARGE
    assert "above the limit of 4096 bytes (--max-body-mb)" in text


def test_datatypes_have_names_in_texts() -> None:
    assert [type_text(number) for number in (1, 8, 101)] == ["float", "complex64", "unknown datatype 101"]
