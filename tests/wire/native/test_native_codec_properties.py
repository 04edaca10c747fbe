"""Whatever the values, all forms of a body give the same tensor, and no bytes do more than be refused."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from salver.errors import Code, RequestError
from salver.types import BatchSettings, ModelVersion, PayloadKind, Signature, TensorSpec, VersionInfo, as_array
from salver.wire.native.codec import NativeRequest, Plan
from salver_worker.frames import DATATYPE_SIZES, NUMPY_NAMES

DATATYPES = sorted(NUMPY_NAMES)
REFUSALS = {Code.INVALID_INPUT, Code.UNSUPPORTED_MEDIA_TYPE, Code.PAYLOAD_TOO_LARGE}


def plan(*specs: TensorSpec) -> Plan:
    signature = Signature(inputs=specs, outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1,)),))
    version = VersionInfo(
        id=ModelVersion("m", 1),
        runtime="onnx",
        payload=PayloadKind.TENSORS,
        signatures={"serving_default": signature},
        batching=BatchSettings(),
        has_batch_dimension=True,
        is_idempotent=True,
    )
    return Plan(version, signature, "serving_default", 10_000)


def headers(content_type: str) -> list[tuple[bytes, bytes]]:
    return [(b"Content-Type", content_type.encode())]


def attempt(reader: Plan, body: bytes, sent: list[tuple[bytes, bytes]]) -> NativeRequest | RequestError:
    """What came of a body; any other exception is a fault of ours."""
    try:
        return reader.decode(body, sent)
    except RequestError as error:
        return error


@st.composite
def tensors(draw: st.DrawFn) -> tuple[str, Any]:
    datatype = draw(st.sampled_from(DATATYPES))
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=4))
    dtype = np.dtype(NUMPY_NAMES[datatype])
    finite = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else None
    return datatype, draw(hnp.arrays(dtype, shape, elements=finite))


@settings(deadline=None)
@given(tensors())
def test_raw_npy_and_json_bodies_give_the_same_tensor(case: tuple[str, Any]) -> None:
    datatype, array = case
    reader = plan(TensorSpec(name="x", datatype=datatype, shape=(-1, *array.shape[1:])))
    file = BytesIO()
    np.save(file, array)
    values = orjson.dumps(array.tolist())
    bodies = [
        (array.tobytes(), "application/octet-stream"),
        (file.getvalue(), "application/x-npy"),
        (b'{"inputs":{"x":%b}}' % values, "application/json"),
        (b'{"inputs": %b }' % values, "application/json;charset=UTF-8"),
        (b'{"instances":%b}' % values, "application/json"),
        (values, "application/json"),
    ]
    for body, content_type in bodies:
        request = reader.decode(body, headers(content_type))
        assert request.inputs is not None
        tensor = request.inputs["x"]
        assert (tensor.datatype, tensor.shape, request.rows) == (datatype, array.shape, len(array))
        assert np.array_equal(as_array(tensor), array)


@settings(deadline=None)
@given(st.sampled_from(sorted(DATATYPE_SIZES)), st.binary(max_size=64), st.integers(1, 4))
def test_raw_bytes_are_whole_rows_or_refused(datatype: str, body: bytes, width: int) -> None:
    reader = plan(TensorSpec(name="x", datatype=datatype, shape=(-1, width)))
    row_bytes = width * DATATYPE_SIZES[datatype]

    came = attempt(reader, body, headers("application/octet-stream"))

    if isinstance(came, RequestError):
        assert came.code is Code.INVALID_INPUT
        assert not body or len(body) % row_bytes
    else:
        assert came.rows * row_bytes == len(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["inputs", "instances", "x", "b64", "z"]), inner, max_size=3)
    ),
    max_leaves=8,
)
specs = st.builds(
    lambda datatype, shape: TensorSpec(name="x", datatype=datatype, shape=shape),
    st.sampled_from([*DATATYPES, "BYTES"]),
    st.sampled_from([(-1,), (-1, 2), (-1, -1), (2, 2), ()]),
)


@settings(deadline=None)
@given(specs, json_values)
def test_any_json_is_taken_or_refused(spec: TensorSpec, document: Any) -> None:
    try:
        body = orjson.dumps(document)
    except TypeError:
        return

    came = attempt(plan(spec), body, headers("application/json"))

    if isinstance(came, RequestError):
        assert came.code in REFUSALS
    else:
        assert came.inputs is not None
        assert as_array(came.inputs["x"]).shape == came.inputs["x"].shape


@settings(deadline=None)
@given(
    specs,
    st.binary(max_size=60),
    st.sampled_from(
        ["application/json", "application/x-npy", "text/csv", "text/plain", "multipart/form-data; boundary=a"]
    ),
    st.sampled_from([None, "gzip", "br"]),
    st.none() | st.binary(max_size=10),
)
def test_no_bytes_do_more_than_be_refused(
    spec: TensorSpec, body: bytes, content_type: str, encoding: str | None, shape: bytes | None
) -> None:
    sent = headers(content_type)
    if encoding is not None:
        sent.append((b"Content-Encoding", encoding.encode()))
    if shape is not None:
        sent.append((b"Salver-Shape", shape))

    came = attempt(plan(spec), body, sent)

    assert not isinstance(came, RequestError) or came.code in REFUSALS
