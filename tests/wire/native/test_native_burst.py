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
    Ranking,
    Signature,
    TensorSpec,
    VersionInfo,
    as_array,
)
from salver.wire.native.predict import NativePredictRoute
from salver.wire.native.rest import NativeWire

JSON = {"Content-Type": "application/json"}
RAW = {"Content-Type": "application/octet-stream"}
ONE = [("x", "FP32", (-1, 2))]
TWO = [("x", "FP32", (-1, 2)), ("n", "INT64", (-1,))]
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

NUMBER = st.integers(-100, 100) | st.floats(-100, 100, width=32) | st.just(1e39)
ROWS = st.lists(st.lists(NUMBER, min_size=2, max_size=2), min_size=1, max_size=4)
WHOLE_ROWS = st.integers(1, 3).flatmap(lambda rows: st.binary(min_size=8 * rows, max_size=8 * rows))
ODD: list[Any] = [[], {}, [[1]], [[1, "a"]], {"inputs": {"z": [[1, 2]]}}, {"instances": [[1, 2]], "inputs": [[1, 2]]}]


def one_form(rows: Any) -> list[Any]:
    return [rows, {"instances": rows}, {"inputs": rows}, {"inputs": {"x": rows}}]


@st.composite
def documents(draw: Any) -> list[Any]:
    """Bodies for `ONE`: most often of one form, at times of several, at times with one that is no such body."""
    forms = draw(st.sampled_from([[0], [1], [2], [3], [2, 3], [0, 1, 2, 3]]))
    found = [one_form(rows)[draw(st.sampled_from(forms))] for rows in draw(st.lists(ROWS, min_size=1, max_size=5))]
    return found + draw(st.sampled_from([[], [], [], *[[odd] for odd in ODD]]))


def version_of(inputs: Sequence[tuple[str, str, tuple[int, ...]]] = ONE, **changes: Any) -> VersionInfo:
    specs = tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, datatype, shape in inputs)
    fields: dict[str, Any] = {
        "id": ModelVersion('m"', 1),
        "runtime": "function",
        "payload": PayloadKind.TENSORS,
        "signatures": {"serving_default": Signature(inputs=specs, outputs=(), ranking=changes.pop("ranking", None))},
        "batching": BatchSettings(),
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**(fields | changes))


def route_at(target: bytes = b"/api/v1/models/m/predict") -> NativePredictRoute:
    route = NativeWire(1 << 20).predict_route(b"POST", target)
    assert isinstance(route, NativePredictRoute)
    return route


def check_decoded(
    exchange: Any, codec: BurstCodec, version: VersionInfo, headers: dict[str, str], bodies: Sequence[bytes]
) -> None:
    """What is taken is what each would have been; it is given up when one is refused, or when the forms differ."""
    route = route_at()
    decoded = codec.decode(bodies)
    if decoded is None:
        return
    together, rows = decoded
    alone = [route.decode(exchange(body, headers=headers), version) for body in bodies]
    assert list(rows) == [request.rows for request in alone]
    assert together.rows == sum(rows)
    for request in alone:
        for name in ("group", "signature_name", "parameters", "understood", "answer", "body"):
            assert getattr(together, name) == getattr(request, name)
    for name, tensor in (together.inputs or {}).items():
        whole = np.concatenate([values_of(request, name) for request in alone])
        assert tensor.shape == whole.shape
        assert as_array(tensor).tobytes() == whole.tobytes()


def values_of(request: InferRequest, name: str) -> Array:
    assert request.inputs is not None
    return as_array(request.inputs[name])


def codec_of(exchange: Any, version: VersionInfo, headers: dict[str, str]) -> BurstCodec:
    codec = route_at().burst_codec(exchange(headers=headers), version)
    assert codec is not None
    return codec


@SHARED
@given(sent=documents())
def test_json_is_read_as_each_by_itself_or_given_up(exchange: Any, sent: list[Any]) -> None:
    version = version_of()
    bodies = [json.dumps(document).encode() for document in sent]
    check_decoded(exchange, codec_of(exchange, version, JSON), version, JSON, bodies)


@SHARED
@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5), uneven=st.booleans())
def test_json_of_several_inputs_too(exchange: Any, sizes: list[int], uneven: bool) -> None:
    version = version_of(TWO)
    sent = [{"inputs": {"n": list(range(size)), "x": [[1.5, size]] * (size + uneven)}} for size in sizes]
    bodies = [json.dumps(document).encode() for document in sent]
    codec = codec_of(exchange, version, JSON)
    assert (codec.decode(bodies) is None) == uneven
    if not uneven:
        check_decoded(exchange, codec, version, JSON, bodies)


@SHARED
@given(bodies=st.lists(WHOLE_ROWS, min_size=1, max_size=5) | st.lists(WHOLE_ROWS | st.binary(max_size=20), min_size=1))
def test_raw_bytes_are_read_as_each_by_itself_or_given_up(exchange: Any, bodies: list[bytes]) -> None:
    version = version_of()
    codec = codec_of(exchange, version, RAW)
    assert (codec.decode(bodies) is None) == any(len(body) % 8 or not body for body in bodies)
    check_decoded(exchange, codec, version, RAW, bodies)


def test_usual_bodies_are_taken(exchange: Any) -> None:
    """The properties above would hold of a codec that gives everything up."""
    codec = codec_of(exchange, version_of(), JSON)
    for document in one_form([[1, 2]]):
        assert codec.decode([json.dumps(document).encode()] * 3) is not None
    assert codec.decode([b'{"inputs":[[1,2]]}', b'{"inputs":{"x":[[1,2]]}}']) is not None
    assert codec.decode([b'{"inputs":[[1,2]]}', b'{"instances":[[1,2]]}']) is None


@st.composite
def outputs_of(draw: Any) -> tuple[dict[str, Array], list[int]]:
    rows = draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))
    outputs: dict[str, Array] = {}
    for name in draw(st.lists(st.sampled_from(["y", 'z"', "ü,", "text"]), max_size=3, unique=True)):
        shape = (sum(rows), *draw(arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)))
        size = int(np.prod(shape))
        if name == "text":
            array: Array = np.empty(size, object)
            array[:] = draw(st.lists(st.binary(max_size=3), min_size=size, max_size=size))
            outputs[name] = array.reshape(shape)
        else:
            outputs[name] = draw(
                arrays.arrays(np.dtype(draw(st.sampled_from(["<f2", "<f4", "<f8", "<u8", "|b1"]))), shape)
            )
    return outputs, rows


@SHARED
@given(case=outputs_of())
def test_answers_are_written_as_each_by_itself(
    exchange: Any, call: Callable[..., Any], case: tuple[dict[str, Array], list[int]]
) -> None:
    outputs, rows = case
    version = version_of()
    route = route_at()
    request = route.decode(exchange(b"[[1,2]]", headers=JSON), version)
    answer, bodies = codec_of(exchange, version, JSON).encode(InferResponse(version, outputs), request, rows)
    start = 0
    for count, body in zip(rows, bodies, strict=True):
        own = {name: array[start : start + count] for name, array in outputs.items()}
        alone = route.encode(InferResponse(version, own), request, call(request_id="a"))
        assert body == alone.body
        assert (answer.status, answer.content_type) == (alone.status, alone.content_type)
        assert {("X-Request-Id", "a"), *answer.headers} == set(alone.headers)
        start += count


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/csv"},
        {**JSON, "Accept": "application/octet-stream"},
        {**JSON, "accept": "application/json"},
        {**JSON, "Content-Encoding": "gzip"},
        {**RAW, "Salver-Shape": "1,2"},
    ],
)
def test_other_headers_are_taken_one_by_one(exchange: Any, headers: dict[str, str]) -> None:
    assert route_at().burst_codec(exchange(headers=headers), version_of()) is None


def test_some_versions_are_asked_one_by_one(exchange: Any) -> None:
    sent = exchange(headers=JSON)
    assert route_at().burst_codec(sent, version_of(has_batch_dimension=False)) is None
    assert route_at().burst_codec(sent, version_of(ranking=Ranking(classes="c", probabilities="p"))) is None
    assert route_at().burst_codec(sent, version_of(payload=PayloadKind.BODY)) is None
    assert route_at(b"/api/v1/models/m/predict?signature=none").burst_codec(sent, version_of()) is None


def test_spellings_of_one_content_type_share_a_codec(exchange: Any) -> None:
    """It is how heads that mean the same are known to belong together."""
    route, version = route_at(), version_of()
    codec = route.burst_codec(exchange(headers=JSON), version)
    assert codec is not None
    again = {"content-type": "application/json; charset=utf-8", "Accept": "*/*"}
    assert route.burst_codec(exchange(headers=again), version) is codec
    assert route.burst_codec(exchange(headers=RAW), version) is not codec
    assert route.burst_codec(exchange(headers=JSON), version_of(id=ModelVersion("m", 2))) is not codec
