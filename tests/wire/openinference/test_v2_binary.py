"""Tensors behind the JSON: taken where they lie, and refused where they do not fit."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.types import SlabSlice, Tensor, VersionInfo, as_array
from salver.wire.openinference.binary import LENGTH_HEADER
from salver_worker.frames import encode_bytes_elements

ROW = np.array([[1.5, 2.5]], "<f4")


@pytest.fixture
def one(version_info: Callable[..., VersionInfo]) -> VersionInfo:
    return version_info([("x", "FP32", (-1, 2))], [("y", "FP32", (-1, 2))])


def test_raw_values_are_not_copied(route, exchange, one, tensor) -> None:
    text = orjson.dumps({"inputs": [tensor("x", "FP32", [1, 2], 8)]})
    body = text + ROW.tobytes()
    request = route().decode(exchange(body, headers={LENGTH_HEADER: str(len(text))}), one)
    data = request.inputs["x"].data
    assert isinstance(data, memoryview)
    assert data.obj is body
    assert as_array(request.inputs["x"]).tolist() == ROW.tolist()


@pytest.mark.parametrize(("spaces", "is_in_slab"), [(0, True), (1, False), (2, False), (4, True)])
def test_a_worker_reads_them_in_the_slab_where_they_are_aligned(
    route, exchange, one, tensor, spaces: int, is_in_slab: bool
) -> None:
    text = orjson.dumps({"inputs": [tensor("x", "FP32", [1, 2], 8)]})
    text += b" " * (-len(text) % 4 + spaces)
    body = SlabSlice(None, 64, memoryview(text + ROW.tobytes()))
    request = route().decode(exchange(body, headers={LENGTH_HEADER: str(len(text))}), one)
    data = request.inputs["x"].data
    assert isinstance(data, SlabSlice) is is_in_slab
    if is_in_slab:
        assert (data.offset, len(data)) == (64 + len(text), 8)
        data.release()  # nothing: it is the whole's to give back
    assert as_array(request.inputs["x"]).tolist() == ROW.tolist()


def test_text_has_its_length_before_each_element(decode, version_info, tensor) -> None:
    version = version_info([("x", "BYTES", (-1,))])
    raw = encode_bytes_elements([b"", b"\xff\0"])
    assert decode(version, {"inputs": [tensor("x", "BYTES", [2], len(raw))]}, raw).inputs["x"].data == [b"", b"\xff\0"]


def test_text_in_the_slab_is_read(route, exchange, version_info, tensor) -> None:
    raw = encode_bytes_elements([b"abc"])
    text = orjson.dumps({"inputs": [tensor("x", "BYTES", [1], len(raw))]})
    body = SlabSlice(None, 0, memoryview(text + raw))
    request = route().decode(
        exchange(body, headers={LENGTH_HEADER: str(len(text))}), version_info([("x", "BYTES", (-1,))])
    )
    assert request.inputs["x"].data == [b"abc"]


def test_both_forms_may_meet_in_a_request(decode, version_info, tensor) -> None:
    version = version_info([("a", "FP32", (-1, 2)), ("b", "INT32", (-1,)), ("c", "BF16", (-1, 2))])
    items = [tensor("c", "BF16", [1, 2], 4), tensor("b", "INT32", [1], [7]), tensor("a", "FP32", [1, 2], 8)]
    request = decode(version, {"inputs": items}, b"\x80\x3f\0\x40" + ROW.tobytes())
    assert bytes(request.inputs["c"].data) == b"\x80\x3f\0\x40"
    assert as_array(request.inputs["a"]).tolist() == ROW.tolist()
    assert as_array(request.inputs["b"]).tolist() == [7]


def test_a_compressed_body_is_split_once_it_is_inflated(decode, one, tensor) -> None:
    text = orjson.dumps({"inputs": [tensor("x", "FP32", [1, 2], 8)]})
    packed = gzip.compress(text + ROW.tobytes())
    headers = {LENGTH_HEADER.replace("-", "_"): str(len(text)), "Content_Encoding": "gzip"}
    assert as_array(decode(one, packed, **headers).inputs["x"]).tolist() == ROW.tolist()


@pytest.mark.parametrize(
    ("size", "shape", "raw", "text"),
    [
        (8, [1, 2], ROW.tobytes()[:4], "unexpected size for input 'x', expecting 4 additional bytes for model 'm'"),
        (8, [1, 2], ROW.tobytes() + b"\0", "unexpected additional input data for model 'm'"),
        (
            8,
            [2, 2],
            ROW.tobytes(),
            "[request id: <id_unknown>] input byte size mismatch for input 'x' for model 'm'. Expected 16, got 8",
        ),
        (-1, [1, 2], b"", "Unable to parse 'binary_data_size': a whole number of bytes is needed"),
        (True, [1, 2], b"", "Unable to parse 'binary_data_size': a whole number of bytes is needed"),
    ],
)
def test_sizes_that_do_not_fit(refuse, one, tensor, size: Any, shape: list[int], raw: bytes, text: str) -> None:
    assert refuse(one, {"inputs": [tensor("x", "FP32", shape, size)]}, raw) == (400, text)


def test_elements_that_end_elsewhere(refuse, version_info, tensor) -> None:
    version = version_info([("x", "BYTES", (-1,))])
    status, text = refuse(version, {"inputs": [tensor("x", "BYTES", [1], 5)]}, b"\x09\0\0\0a")
    assert status == 400
    assert text.startswith("[request id: <id_unknown>] unexpected bytes for input 'x' for model 'm': an element of")


@pytest.mark.parametrize(
    ("length", "text"),
    [
        ("x", "Unable to parse Inference-Header-Content-Length, got: x"),
        ("-1", "Unable to parse Inference-Header-Content-Length, got: -1"),
        ("107", "unexpected size for request JSON, expecting 5 more bytes"),
    ],
)
def test_the_length_of_the_json(refuse, one, length: str, text: str) -> None:
    headers = {LENGTH_HEADER.replace("-", "_"): length}
    assert refuse(one, b" " * 102, b"", **headers) == (400, text)


# Raw requests


def raw_request(route: Any, exchange: Any, version: VersionInfo, body: Any) -> Tensor:
    request = route().decode(exchange(body, headers={LENGTH_HEADER: "0"}), version)
    assert (request.rows, request.is_binary, request.wishes) == (1, True, None)
    (found,) = request.inputs.values()
    return found


@pytest.mark.parametrize(
    ("shape", "has_rows", "found"), [((-1, 2), True, (1, 2)), ((-1, -1), True, (1, 2)), ((-1, 2), False, (1, 2))]
)
def test_a_body_may_be_the_only_input(
    route, exchange, version_info, shape: tuple[int, ...], has_rows: bool, found: tuple[int, ...]
) -> None:
    version = version_info([("x", "FP32", shape)], has_batch_dimension=has_rows)
    tensor = raw_request(route, exchange, version, ROW.tobytes())
    assert (tensor.shape, as_array(tensor).tolist()) == (found, ROW.tolist())


def test_a_body_may_be_the_only_element(route, exchange, version_info) -> None:
    version = version_info([("x", "BYTES", (-1, 1))])
    assert raw_request(route, exchange, version, b"abc") == Tensor("BYTES", (1, 1), [b"abc"])


@pytest.mark.parametrize(
    ("inputs", "body", "text"),
    [
        ([("a", "FP32", (-1,)), ("b", "FP32", (-1,))], b"", "a raw binary request needs a model with 1 input, but 'm'"),
        ([("x", "FP32", (-1, -1, -1))], b"", "a raw binary request cannot tell the shape [-1,-1,-1] of input 'x'"),
        ([("x", "BYTES", (-1, 2))], b"", "a raw binary request is one element, but input 'x' has [-1,2]"),
        ([("x", "FP32", (-1, 2))], b"1234", "[request id: <id_unknown>] input byte size mismatch for input 'x' for"),
        ([("x", "FP32", (-1, -1, 2))], b"1234", "[request id: <id_unknown>] input byte size mismatch for input 'x'"),
        ([("x", "FP32", (-1, -1))], b"", "[request id: <id_unknown>] input byte size mismatch for input 'x' for"),
        ([("x", "FP32", (-1, -1, 0))], b"1234", "[request id: <id_unknown>] input byte size mismatch for input 'x'"),
    ],
)
def test_a_body_that_cannot_be_the_only_input(refuse, version_info, inputs: Any, body: bytes, text: str) -> None:
    status, told = refuse(version_info(inputs), body, b"", **{LENGTH_HEADER.replace("-", "_"): "0"})
    assert (status, told[: len(text)]) == (400, text)
