"""The short road may only give up: what it takes must be exactly what the general road makes of the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.errors import RequestError
from salver.types import (
    BatchSettings,
    ModelVersion,
    PayloadKind,
    Signature,
    Tensor,
    TensorSpec,
    VersionInfo,
    as_array,
)
from salver.wire.tfserving import plan
from salver.wire.tfserving.codec import decode_predict
from salver.wire.tfserving.plan import default_plan
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.sweep import sweep_numbers
from salver.wire.tfserving.values import RULES

DATATYPES = sorted(set(RULES) - {"BYTES", "UINT64"})
ABOVE_64_BITS = (2**64, -(2**63) - 1, 10**30)
LEAVES = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(allow_nan=False, allow_infinity=False, width=16),
    st.integers(-130, 300),
    st.sampled_from([2**15, -(2**31), 2**31, 2**63 - 1, 2**63, -(2**63), 65504, 1e39, *ABOVE_64_BITS]),
    st.booleans(),
)
STRANGE: Any = st.one_of(st.none(), st.text(max_size=3), st.just({"b64": "YQ=="}), st.just([]), st.just([[1]]))


def lists(leaf: Any, sizes: list[int]) -> Any:
    for size in reversed(sizes):
        leaf = st.lists(leaf, min_size=size, max_size=size)
    return leaf


@st.composite
def cases(draw: Any) -> tuple[str, tuple[int, ...], bytes]:
    """A datatype, a declared shape, and a body: most often one that fits both, else one that is nearly right."""
    datatype = draw(st.sampled_from(DATATYPES))
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    declared = tuple(draw(st.sampled_from([size, size, -1])) for size in sizes)
    is_even = draw(st.booleans())
    leaf = st.booleans() if datatype == "BOOL" and is_even else draw(st.sampled_from([LEAVES, st.integers(0, 100)]))
    if is_even:
        value = draw(lists(leaf, sizes))
    else:
        value = draw(st.recursive(st.one_of(leaf, STRANGE), lambda inner: st.lists(inner, max_size=3), max_leaves=8))
    document = {draw(st.sampled_from(["instances", "inputs"])): value}
    document |= draw(
        st.sampled_from([{}, {}, {}, {"signature_name": "serving_default"}, {"signature_name": 1}, {"more": [[]]}])
    )
    return datatype, declared, json.dumps(document).encode()


def version_of(datatype: str, declared: tuple[int, ...]) -> VersionInfo:
    signature = Signature(inputs=(TensorSpec(name="x", datatype=datatype, shape=declared),), outputs=())
    return VersionInfo(
        id=ModelVersion("m", 1),
        runtime="function",
        payload=PayloadKind.TENSORS,
        signatures={"serving_default": signature},
        batching=BatchSettings(),
        has_batch_dimension=declared[0] == -1,
        is_idempotent=True,
    )


def tensor_of(request: TfRequest) -> Tensor:
    assert request.inputs is not None
    return request.inputs["x"]


def assert_same(short: TfRequest, general: TfRequest) -> None:
    assert (short.signature_name, short.rows, short.group, short.is_row, short.parameters) == (
        general.signature_name,
        general.rows,
        general.group,
        general.is_row,
        general.parameters,
    )
    one, other = tensor_of(short), tensor_of(general)
    assert (one.datatype, one.shape) == (other.datatype, other.shape)
    assert np.array_equal(as_array(one), as_array(other))
    assert as_array(one).dtype == as_array(other).dtype


@settings(deadline=None)
@given(cases())
def test_by_single_values(case: tuple[str, tuple[int, ...], bytes]) -> None:
    datatype, declared, body = case
    version = version_of(datatype, declared)
    short = default_plan(version)
    assert short is not None
    taken = short.decode(body)
    if taken is not None:
        assert_same(taken, decode_predict(body, version))


@settings(deadline=None)
@given(cases())
def test_by_the_sweep(case: tuple[str, tuple[int, ...], bytes]) -> None:
    datatype, declared, body = case
    version = version_of(datatype, declared)
    if datatype == "BOOL":
        return
    sweep = sweep_numbers(body, version.signatures["serving_default"].inputs[0])
    if sweep is not None:
        general = decode_predict(body, version)
        assert sweep.is_row == general.is_row
        assert sweep.tensor.shape == tensor_of(general).shape
        assert np.array_equal(as_array(sweep.tensor), as_array(tensor_of(general)))


@settings(deadline=None)
@given(cases())
def test_the_sweep_and_single_values_give_up_on_the_same_bodies(case: tuple[str, tuple[int, ...], bytes]) -> None:
    """But for whole numbers that only the one parser, or only the other, keeps as such."""
    datatype, declared, body = case
    version = version_of(datatype, declared)
    short = default_plan(version)
    assert short is not None
    if datatype == "BOOL" or any(str(number) in body.decode() for number in ABOVE_64_BITS):
        return
    sweep = sweep_numbers(body, version.signatures["serving_default"].inputs[0])
    assert (sweep is None) == (short.decode(body) is None)


@settings(deadline=None)
@given(cases())
def test_the_general_road_answers_or_refuses(case: tuple[str, tuple[int, ...], bytes]) -> None:
    datatype, declared, body = case
    with suppress(RequestError):
        request = decode_predict(body, version_of(datatype, declared))
        assert as_array(tensor_of(request)).shape == tensor_of(request).shape


# Where the short road must give up

USUAL = b'{"instances":[[1,2]]}'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"instances":[[1,2]],"inputs":[[1,2]]}',
        b'{"instances":null}',
        b'{"instances":[]}',
        b'{"instances":[[1,2],[1]]}',
        b'{"instances":[[1,2,3]]}',
        b'{"instances":[[[1,2],[]]]}',
        b'{"instances":[[1,[]]]}',
        b'{"instances":[[1,[2]]]}',
        b'{"instances":[1,2]}',
        b'{"instances":["12"]}',
        b'{"instances":[[1,"2"]]}',
        b'{"instances":[[1,true]]}',
        b'{"instances":[[1,1e39]]}',
        b'{"instances":"ab"}',
        b'{"instances":1,"instances":[[1,2]]}',
        b'{"signature_name":"other","instances":[[1,2]]}',
        b'{"signature_name":"[","instances":[[1,2]]}',
        b'{"instances":[[1,2]],"more":1}',
        b'{"instances":[[1,2]]} x',
        b'{"instances":[[1,NaN]]}',
        b'{"\xff":[[1,2]]}',
        b'{"instances":[{"x":[1,2]}]}',
    ],
)
@pytest.mark.parametrize("declared", [(-1, 2), (-1, -1)])
@pytest.mark.parametrize("threshold", [1, 1 << 20])
def test_the_unusual_is_left_to_the_general_road(
    monkeypatch: pytest.MonkeyPatch, body: bytes, declared: tuple[int, ...], threshold: int
) -> None:
    monkeypatch.setattr(plan, "SWEEP_BYTES", threshold)
    short = default_plan(version_of("FP32", declared))
    assert short is not None
    assert short.decode(USUAL) is not None
    is_legal = {
        b'{"instances":[[1,2,3]]}': declared == (-1, -1),
        b'{"instances":1,"instances":[[1,2]]}': False,
    }.get(body, False)
    assert (short.decode(body) is not None) == is_legal


@pytest.mark.parametrize(
    ("datatype", "declared"), [("BYTES", (-1,)), ("UINT64", (-1,)), ("BF16", (-1,)), ("FP32", ()), ("FP32", (1,) * 64)]
)
def test_some_signatures_have_no_default_plan(datatype: str, declared: tuple[int, ...]) -> None:
    version = version_of("FP32", (-1,))
    signature = Signature(inputs=(TensorSpec(name="x", datatype=datatype, shape=declared),), outputs=())
    version.signatures["serving_default"] = signature
    assert default_plan(version) is None


def test_bodies_several_inputs_and_other_names_have_no_default_plan(version_info: Callable[..., VersionInfo]) -> None:
    assert default_plan(version_info()) is None
    assert default_plan(version_info([("a", "FP32", (-1,)), ("b", "FP32", (-1,))])) is None
    assert default_plan(version_info(signatures={"other": Signature(inputs=(), outputs=())})) is None


def test_booleans_never_go_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SWEEP_BYTES", 1)
    short = default_plan(version_of("BOOL", (-1,)))
    assert short is not None
    request = short.decode(orjson.dumps({"instances": [True, False]}))
    assert request is not None
    assert as_array(tensor_of(request)).tolist() == [True, False]
