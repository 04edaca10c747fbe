"""Values sent as JSON and sent raw are the same tensors, and answered in either form they are the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salver.types import (
    BatchSettings,
    InferResponse,
    ModelVersion,
    PayloadKind,
    Signature,
    TensorSpec,
    VersionInfo,
    as_array,
)
from salver.wire.openinference.binary import LENGTH_HEADER
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.outputs import DATATYPES, encode, raw_bytes
from salver.wire.openinference.values import flat
from salver_worker.frames import NUMPY_NAMES, decode_bytes_elements

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=3)


@st.composite
def tensors(draw: Any) -> tuple[str, Any]:
    """A datatype and an array of it; text is objects of UTF-8."""
    datatype = draw(st.sampled_from([*NUMPY_NAMES, "BYTES"]))
    shape = draw(SHAPES)
    if datatype == "BYTES":
        elements = draw(st.lists(st.text(max_size=4), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
        array = np.empty(len(elements), object)
        array[:] = [element.encode() for element in elements]
        return datatype, array.reshape(shape)
    kinds = {"elements": {"allow_nan": False, "allow_infinity": False}} if datatype.startswith("FP") else {}
    return datatype, draw(arrays.arrays(np.dtype(NUMPY_NAMES[datatype]), shape, **kinds))


def version_of(datatype: str, rank: int) -> VersionInfo:
    spec = TensorSpec(name="x", datatype=datatype, shape=(-1,) * rank)
    return VersionInfo(
        id=ModelVersion("m", 1),
        runtime="echo",
        payload=PayloadKind.TENSORS,
        signatures={"serving_default": Signature(inputs=(spec,), outputs=(spec,))},
        batching=BatchSettings(),
        has_batch_dimension=True,
        is_idempotent=True,
    )


def plain(array: Any) -> Any:
    return [element.decode() for element in array.reshape(-1)] if array.dtype == object else array.reshape(-1).tolist()


def same(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and bool((one == other).all())


@settings(deadline=None, max_examples=300)
@given(tensors())
def test_both_roads_make_the_same_tensor_and_the_same_answer(case: tuple[str, Any]) -> None:
    datatype, array = case
    version = version_of(datatype, array.ndim)
    raw = raw_bytes(array, datatype)
    head = {"name": "x", "datatype": datatype, "shape": array.shape}
    text = orjson.dumps({"inputs": [head | {"parameters": {"binary_data_size": len(raw)}}], "outputs": [BINARY]})
    request = Plan(version).decode(text + raw, str(len(text)).encode())
    assert same(as_array(request.inputs["x"]), array)
    if datatype != "FP16":
        spoken = orjson.dumps({"inputs": [head | {"data": plain(array)}]})
        heard = Plan(version).decode(spoken, None)
        assert same(as_array(heard.inputs["x"]), array)
        assert (heard.rows, heard.group) == (request.rows, request.group)
        answer = encode(InferResponse(version, {"x": array}), heard, {"x": array})
        (output,) = orjson.loads(answer.body)["outputs"]
        assert (output["shape"], output["datatype"]) == (list(array.shape), datatype)
        assert np.array_equal(np.array(output["data"], array.dtype), np.array(plain(array), array.dtype))
    answer = encode(InferResponse(version, {"x": array}), request, {"x": array})
    assert answer.body[int(dict(answer.headers)[LENGTH_HEADER]) :] == raw


BINARY = {"name": "x", "parameters": {"binary_data": True}}


def test_each_datatype_of_numpy_is_one_of_the_protocol() -> None:
    assert sorted(DATATYPES.values()) == sorted(NUMPY_NAMES)
    assert decode_bytes_elements(raw_bytes(np.array([b"a"], object), "BYTES"), 1) == [b"a"]


NESTED = st.recursive(st.integers(0, 9), lambda inner: st.lists(inner, max_size=4), max_leaves=20)


@given(st.lists(NESTED, max_size=5))
def test_flat_finds_the_leaves_in_order(values: list[Any]) -> None:
    def leaves(value: Any) -> list[Any]:
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert flat(values) == leaves(values)
