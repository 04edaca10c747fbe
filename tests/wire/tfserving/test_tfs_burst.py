"""Many predictions at once come out exactly as each by itself would, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from salver.operations.base import BurstCodec
from salver.types import (
    Array,
    BatchSettings,
    InferRequest,
    InferResponse,
    ModelVersion,
    PayloadKind,
    Signature,
    TensorSpec,
    VersionInfo,
    as_array,
)
from salver.wire.tfserving.plan import SWEEP_BYTES
from salver.wire.tfserving.predict import TfPredictRoute
from salver.wire.tfserving.rest import TfServingWire

ROW = (2,)
SMALL = st.integers(-100, 100) | st.floats(-100, 100, width=32) | st.just(1e39)
VALUES = st.lists(st.lists(SMALL, min_size=2, max_size=2), min_size=1, max_size=4)
DOCUMENTS = st.one_of(
    VALUES.map(lambda rows: {"instances": rows}),
    VALUES.map(lambda rows: {"instances": rows, "signature_name": "serving_default"}),
    VALUES.map(lambda rows: {"inputs": rows}),
    st.just({"instances": [[1, 2, 3]]}),
    st.just({"instances": []}),
    st.just({"instances": [[1, "a"]]}),
    st.just({"instances": [{"x": [1, 2]}]}),
    st.just({"instances": [[1, 2]], "signature_name": "other"}),
    st.just({"instances": [[1, 2]], "inputs": [[1, 2]]}),
    st.just({"instances": [[0.125, 0.25]] * 100}),
)
USUAL = VALUES.map(lambda rows: {"instances": rows})
BODIES = st.lists(USUAL, min_size=1, max_size=5) | st.lists(DOCUMENTS, min_size=1, max_size=3)


def version_of(datatype: str = "FP32", shape: tuple[int, ...] = (-1, *ROW), **changes: Any) -> VersionInfo:
    signature = Signature(inputs=(TensorSpec(name="x", datatype=datatype, shape=shape),), outputs=())
    fields: dict[str, Any] = {
        "id": ModelVersion("m", 1),
        "runtime": "function",
        "payload": PayloadKind.TENSORS,
        "signatures": {"serving_default": signature},
        "batching": BatchSettings(),
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**(fields | changes))


def route_and_codec(exchange: Any, version: VersionInfo) -> tuple[TfPredictRoute, BurstCodec]:
    route = TfServingWire(max_body_bytes=1 << 20).predict_route(b"POST", b"/v1/models/m:predict")
    assert isinstance(route, TfPredictRoute)
    codec = route.burst_codec(exchange(), version)
    assert codec is not None
    return route, codec


def arrays_of(request: InferRequest) -> dict[str, Any]:
    return {name: as_array(tensor) for name, tensor in (request.inputs or {}).items()}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=BODIES)
def test_bodies_are_read_as_each_by_itself_or_given_up(exchange: Any, documents: list[dict[str, Any]]) -> None:
    version = version_of()
    route, codec = route_and_codec(exchange, version)
    bodies = [json.dumps(document).encode() for document in documents]
    decoded = codec.decode(bodies)
    if decoded is None:
        return
    together, rows = decoded
    alone = [route.decode(exchange(body), version) for body in bodies]
    assert list(rows) == [request.rows for request in alone]
    assert together.rows == sum(rows)
    for request in alone:
        assert (together.group, together.signature_name, together.parameters) == (
            request.group,
            request.signature_name,
            request.parameters,
        )
        assert request.is_row
    whole = np.concatenate([arrays_of(request)["x"] for request in alone])
    assert arrays_of(together)["x"].tobytes() == whole.tobytes()


def test_usual_bodies_are_taken(exchange: Any) -> None:
    """The property above would hold of a codec that gives everything up."""
    _, codec = route_and_codec(exchange, version_of())
    named = b'{"signature_name":"serving_default","instances":[[1,2],[3,4]]}'
    decoded = codec.decode([b'{"instances":[[1,2]]}', named])
    assert decoded is not None
    assert list(decoded[1]) == [1, 2]


@st.composite
def outputs_of(draw: Any) -> tuple[dict[str, Array], list[int]]:
    rows = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    outputs: dict[str, Array] = {}
    for name in draw(st.lists(st.sampled_from(["y", "z", "text", "raw_bytes"]), min_size=1, max_size=3, unique=True)):
        shape = (sum(rows), *draw(arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)))
        if name in ("text", "raw_bytes"):
            elements = draw(st.lists(st.binary(max_size=3), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
            array: Array = np.empty(len(elements), object)
            array[:] = elements
            outputs[name] = array.reshape(shape)
        else:
            outputs[name] = draw(arrays.arrays(np.dtype(draw(st.sampled_from(["<f4", "<f8", "<i8", "|b1"]))), shape))
    return outputs, rows


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=outputs_of())
def test_answers_are_written_as_each_by_itself(
    exchange: Any, call: Callable[..., Any], case: tuple[dict[str, Array], list[int]]
) -> None:
    outputs, rows = case
    version = version_of()
    route, codec = route_and_codec(exchange, version)
    request = route.decode(exchange(b'{"instances":[[1,2]]}'), version)
    answer, bodies = codec.encode(InferResponse(version, outputs), request, rows)
    start = 0
    for count, body in zip(rows, bodies, strict=True):
        own = {name: array[start : start + count] for name, array in outputs.items()}
        alone = route.encode(InferResponse(version, own), request, call())
        assert body == alone.body
        assert (answer.status, answer.content_type, answer.headers) == (alone.status, alone.content_type, alone.headers)
        start += count


@pytest.mark.parametrize("headers", [{"Content-Encoding": "gzip"}, {"content-encoding": "identity"}])
def test_what_may_be_compressed_is_taken_by_itself(exchange: Any, headers: dict[str, str]) -> None:
    route = TfServingWire(max_body_bytes=1 << 20).predict_route(b"POST", b"/v1/models/m:predict")
    assert route is not None
    assert route.burst_codec(exchange(headers=headers), version_of()) is None


@pytest.mark.parametrize(
    ("version", "bodies"),
    [
        (version_of(has_batch_dimension=False, shape=(1, 2)), [b'{"instances":[[1,2]]}'] * 2),
        (version_of(shape=(-1, -1)), [b'{"instances":[[1,2]]}'] * 2),
        (version_of(), [b'{"instances":[[1,2]]}', b'{"instances":[[1,2]]}' + b" " * SWEEP_BYTES]),
        (version_of(), [b'{"instances":[[1,2]]}', b"\xff"]),
    ],
    ids=["no batch dimension", "rows of any size", "one too large", "one that is not JSON"],
)
def test_some_are_given_up(exchange: Any, version: VersionInfo, bodies: Sequence[bytes]) -> None:
    _, codec = route_and_codec(exchange, version)
    assert codec.decode(bodies) is None


def test_a_version_without_a_short_road_has_no_bursts(exchange: Any) -> None:
    for target in (b"/v1/models/m:predict", b"/v1/models/m:classify"):
        route = TfServingWire(max_body_bytes=1 << 20).predict_route(b"POST", target)
        assert route is not None
        assert route.burst_codec(exchange(), version_of("BYTES")) is None


def test_the_codec_of_a_version_is_kept(exchange: Any) -> None:
    """It is how heads that mean the same are known to belong together."""
    version = version_of()
    route, codec = route_and_codec(exchange, version)
    assert route.burst_codec(exchange(headers={"X-A": "1"}), version) is codec
    assert route.burst_codec(exchange(), version_of(id=ModelVersion("m", 2))) is not codec
