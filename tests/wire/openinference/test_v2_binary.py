"""Tensors behind the JSON: taken where they lie, and refused where they do not fit."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.errors import RequestError
from salver.types import SlabSlice, Tensor, VersionInfo, as_array
from salver.wire.openinference.binary import LENGTH_HEADER
from salver.wire.openinference.codec import MAX_REMEMBERED, MAX_REMEMBERED_BYTES, Plan
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


# The same JSON again


@pytest.fixture
def plan(version_info) -> Plan:
    return Plan(version_info([("a", "FP32", (-1, 2)), ("s", "UINT8", (-1,))], [("y", "FP32", (-1,))]))


def asked_again(plan: Plan, document: Any, *raws: bytes) -> list[Any]:
    text = orjson.dumps(document)
    return [plan.decode(text + raw, str(len(text)).encode()) for raw in raws]


@pytest.mark.parametrize("names", [("a", "s"), ("s", "a")])
def test_the_same_json_means_the_same_request_with_other_values(plan, tensor, names: tuple[str, str]) -> None:
    items = {"a": tensor("a", "FP32", [1, 2], 8), "s": tensor("s", "UINT8", [1], 1)}
    values = {"a": ROW, "s": np.array([7], "u1")}
    document = {
        "id": "7",
        "inputs": [items[name] for name in names],
        "outputs": [{"name": "y", "parameters": {"binary_data": True}}],
        "parameters": {"binary_data_output": True, "scale": 2},
    }
    raws = [b"".join((values[name] + plus).astype(values[name].dtype).tobytes() for name in names) for plus in (0, 1)]
    first, second = asked_again(plan, document, *raws)
    for request, plus in ((first, 0), (second, 1)):
        assert list(request.inputs) == ["a", "s"]
        assert as_array(request.inputs["a"]).tolist() == (ROW + plus).tolist()
        assert as_array(request.inputs["s"]).tolist() == [7 + plus]
    kept = ("id", "wishes", "is_binary", "parameters", "group", "rows", "version", "signature_name", "body")
    assert [getattr(first, name) for name in kept] == [getattr(second, name) for name in kept]
    with pytest.raises(RequestError, match="unexpected additional input data"):
        asked_again(plan, document, raws[0] + b"\0")


def test_one_input_is_read_again(one, tensor) -> None:
    document = {"inputs": [tensor("x", "FP32", [1, 2], 8)]}
    first, second = asked_again(Plan(one), document, ROW.tobytes(), (ROW * 2).tobytes())
    assert [as_array(request.inputs["x"]).tolist() for request in (first, second)] == [ROW.tolist(), (ROW * 2).tolist()]


def test_only_so_much_is_remembered(one, tensor) -> None:
    plan = Plan(one)
    item = tensor("x", "FP32", [1, 2], 8)
    for number in range(MAX_REMEMBERED + 1):
        asked_again(plan, {"inputs": [item], "id": str(number)}, ROW.tobytes())
    assert len(plan._layouts) == 1
    asked_again(plan, {"inputs": [item], "id": "x" * MAX_REMEMBERED_BYTES}, ROW.tobytes())
    asked_again(plan, {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]}, b"")
    assert len(plan._layouts) == 1


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
