"""Predict bodies that are taken: every legal form, and what the model gets."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.operations.base import Exchange, PredictRoute
from salver.serving.payload import batch_group
from salver.types import DEFAULT_SIGNATURE, Signature, SlabSlice, TensorSpec, VersionInfo, as_array
from salver.wire.tfserving.request import TfRequest

Build = Callable[..., VersionInfo]
Decode = Callable[..., TfRequest]

IRIS = [[5.1, 3.5, 1.4, 0.2]]


def values(request: TfRequest, name: str = "x") -> Any:
    assert request.inputs is not None
    return as_array(request.inputs[name]).tolist()


def shape(request: TfRequest, name: str = "x") -> tuple[int, ...]:
    assert request.inputs is not None
    return request.inputs[name].shape


def test_rows_of_the_one_input(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "FP64", (-1, 4))])
    request = decode(version, {"instances": IRIS})
    assert (request.version, request.signature_name, request.rows, request.is_row) == (
        version,
        "serving_default",
        1,
        True,
    )
    assert values(request) == IRIS


def test_the_column_form_is_remembered(decode: Decode, version_info: Build) -> None:
    request = decode(version_info([("x", "FP64", (-1, 4))]), {"inputs": IRIS})
    assert not request.is_row
    assert values(request) == IRIS


@pytest.mark.parametrize("name", ["", "serving_default"])
def test_the_default_signature_may_be_named(decode: Decode, version_info: Build, name: str) -> None:
    request = decode(version_info([("x", "FP64", (-1, 4))]), {"signature_name": name, "instances": IRIS})
    assert request.signature_name == "serving_default"


def test_another_signature_is_found_by_name(decode: Decode, version_info: Build) -> None:
    spec = TensorSpec(name="y", datatype="INT64", shape=(-1,))
    signatures = {"serving_default": Signature(inputs=(), outputs=()), "second": Signature(inputs=(spec,), outputs=())}
    request = decode(version_info(signatures=signatures), {"signature_name": "second", "instances": [1, 2]})
    assert (request.signature_name, request.rows, values(request, "y")) == ("second", 2, [1, 2])


def test_unknown_keys_are_passed_over(decode: Decode, version_info: Build) -> None:
    assert values(decode(version_info([("x", "FP64", (-1, 4))]), {"instances": IRIS, "note": [[[]]]})) == IRIS


def test_objects_are_legal_for_one_input(decode: Decode, version_info: Build) -> None:
    request = decode(version_info([("x", "FP64", (-1, 4))]), {"instances": [{"x": IRIS[0]}, {"x": IRIS[0]}]})
    assert values(request) == IRIS * 2


def test_objects_of_two_inputs_become_two_tensors(decode: Decode, version_info: Build) -> None:
    version = version_info([("a", "FP32", (-1, 2)), ("b", "BYTES", (-1,))])
    request = decode(version, {"instances": [{"b": "p", "a": [1, 2]}, {"a": [3, 4], "b": {"b64": "cQ=="}}]})
    assert values(request, "a") == [[1.0, 2.0], [3.0, 4.0]]
    assert values(request, "b") == [b"p", b"q"]
    assert request.inputs is not None
    assert list(request.inputs) == ["a", "b"]
    assert request.rows == 2


def test_the_column_form_passes_over_extra_names(decode: Decode, version_info: Build) -> None:
    request = decode(version_info([("x", "INT32", (-1,))]), {"inputs": {"x": [1, 2], "y": "?"}})
    assert values(request) == [1, 2]


def test_a_b64_object_is_a_value_in_both_forms(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "BYTES", (-1,))])
    assert values(decode(version, {"instances": [{"b64": "AP8="}, "é"]})) == [b"\0\xff", "é".encode()]
    scalar = version_info([("x", "BYTES", ())], has_batch_dimension=False)
    request = decode(scalar, {"inputs": {"b64": "AP8="}})
    assert (values(request), request.rows) == (b"\0\xff", 1)


@pytest.mark.parametrize("text", ["YWI=", "YWI", "YW\nI=\n"])
def test_padding_and_white_space_of_base64_are_optional(decode: Decode, version_info: Build, text: str) -> None:
    assert values(decode(version_info([("x", "BYTES", (-1,))]), {"instances": [{"b64": text}]})) == [b"ab"]


@pytest.mark.parametrize("datatype", ["FP64", "BYTES"])
@pytest.mark.parametrize("key", ["instances", "inputs"])
def test_one_value_per_row_fits_rows_of_one(decode: Decode, version_info: Build, datatype: str, key: str) -> None:
    sent: list[Any] = [1.0, 2.0, 5.0] if datatype == "FP64" else ["1", "2", "5"]
    got: list[Any] = [[1.0], [2.0], [5.0]] if datatype == "FP64" else [[b"1"], [b"2"], [b"5"]]
    request = decode(version_info([("x", datatype, (-1, 1))]), {key: sent})
    assert (values(request), shape(request), request.rows) == (got, (3, 1), 3)


def test_one_value_fits_a_model_of_one_value(decode: Decode, version_info: Build) -> None:
    request = decode(version_info([("x", "FP32", ())], has_batch_dimension=False), {"inputs": 2})
    assert (values(request), request.rows) == (2.0, 1)


def test_a_row_count_needs_a_dimension(decode: Decode, version_info: Build) -> None:
    assert decode(version_info([("x", "FP32", ())]), {"inputs": 2}).rows == 1


def test_a_model_without_rows_takes_its_whole_shape(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "INT64", (2, 2))], has_batch_dimension=False)
    request = decode(version, {"instances": [[1, 2], [3, 4]]})
    assert (values(request), request.rows) == ([[1, 2], [3, 4]], 1)


def test_a_large_body_becomes_an_array(decode: Decode, version_info: Build) -> None:
    image = np.random.default_rng(1).random((2, 3, 32, 32), dtype=np.float32)
    body = orjson.dumps({"instances": image}, option=orjson.OPT_SERIALIZE_NUMPY)
    request = decode(version_info([("x", "FP32", (-1, 3, 32, 32))]), body)
    assert request.inputs is not None
    assert isinstance(request.inputs["x"].data, np.ndarray)
    assert np.array_equal(as_array(request.inputs["x"]), image)
    assert request.rows == 2


def test_a_large_column_of_free_rows_becomes_an_array(decode: Decode, version_info: Build) -> None:
    body = orjson.dumps({"signature_name": "serving_default", "inputs": [list(range(300))] * 2})
    request = decode(version_info([("x", "INT16", (-1, -1))]), body)
    assert values(request) == [list(range(300))] * 2
    assert not request.is_row


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_a_body_may_be_any_buffer(
    route: Callable[..., PredictRoute], exchange: Callable[..., Exchange], version_info: Build, kind: Any
) -> None:
    version = version_info([("x", "FP64", (-1, 1))])
    for body in (b'{"instances":[[1.5]]}', b'{"instances":[1.5]}', b'{"instances":[' + b"[1.5]," * 300 + b"[1.5]]}"):
        request = route().decode(exchange(kind(body)), version)
        assert isinstance(request, TfRequest)
        assert values(request)[0] == [1.5]


def test_a_body_in_shared_memory_is_read_in_place(
    route: Callable[..., PredictRoute], exchange: Callable[..., Exchange], version_info: Build
) -> None:
    class Owner:
        def free(self, piece: SlabSlice) -> None:
            raise AssertionError("the wire gives nothing back")

    piece = SlabSlice(Owner(), 0, memoryview(b'{"instances":[[1.5]]}'))
    request = route().decode(exchange(piece), version_info([("x", "FP64", (-1, 1))]))
    assert isinstance(request, TfRequest)
    assert values(request) == [[1.5]]


@pytest.mark.parametrize("name", ["gzip", "x-gzip", "GZIP"])
def test_a_compressed_body_is_inflated(decode: Decode, version_info: Build, name: str) -> None:
    body = gzip.compress(orjson.dumps({"instances": IRIS}))
    request = decode(version_info([("x", "FP64", (-1, 4))]), body, headers={"Content-Encoding": name})
    assert values(request) == IRIS


def test_the_identity_encoding_is_no_encoding(decode: Decode, version_info: Build) -> None:
    headers = {"Content-Encoding": "identity"}
    assert values(decode(version_info([("x", "BYTES", (-1,))]), {"instances": ["a"]}, headers=headers)) == [b"a"]


# Groups


@pytest.mark.parametrize("document", [{"instances": IRIS}, {"inputs": IRIS}, {"instances": [{"x": IRIS[0]}]}])
@pytest.mark.parametrize("declared", [(-1, 4), (-1, -1)])
def test_the_group_is_that_of_every_wire(
    decode: Decode, version_info: Build, document: Any, declared: tuple[int, ...]
) -> None:
    request = decode(version_info([("x", "FP32", declared)]), document)
    assert request.inputs is not None
    assert request.group == batch_group(DEFAULT_SIGNATURE, request.inputs)
    assert request.group != decode(version_info([("x", "FP64", declared)]), document).group


def test_rows_of_another_length_are_another_group(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "FP32", (-1, -1))])
    short, long = decode(version, {"instances": [[1]]}), decode(version, {"instances": [[1, 2]]})
    assert short.group != long.group
    assert short.group == decode(version, {"instances": [[3], [4]]}).group


# Plans


def test_a_replaced_version_gets_a_plan_of_its_own(
    route: Callable[..., PredictRoute], exchange: Callable[..., Exchange], version_info: Build
) -> None:
    one = route()
    old, new = version_info([("x", "FP32", (-1, 1))]), version_info([("x", "INT64", (-1, 1))])
    body = exchange(b'{"instances":[[1]]}')
    for version in (old, new, old):
        request = one.decode(body, version)
        assert request.version is version
        assert request.inputs is not None
        assert request.inputs["x"].datatype == version.signatures["serving_default"].inputs[0].datatype


def test_a_route_keeps_a_bounded_number_of_plans(
    route: Callable[..., PredictRoute], exchange: Callable[..., Exchange], version_info: Build
) -> None:
    one = route()
    for number in range(40):
        version = version_info([("x", "FP32", (-1, 1))], version=number)
        assert one.decode(exchange(b'{"instances":[[1]]}'), version).version is version
