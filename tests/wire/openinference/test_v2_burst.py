"""Many predictions in JSON at once come out exactly as each by itself would, or not at all."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from salver.errors import RequestError
from salver.types import InferRequest, InferResponse, VersionInfo, as_array
from salver.wire.openinference import OpenInferenceWire
from salver.wire.openinference.infer import V2InferRoute

ROWS = st.lists(st.lists(st.integers(-128, 130), min_size=2, max_size=2), min_size=1, max_size=3)
WORDS = st.sampled_from(["", "ü", "word"])
MORE: Any = st.one_of(
    st.just({}),
    st.just({"id": "seven"}),
    st.just({"outputs": [{"name": "z"}]}),
    st.just({"outputs": [{"name": "y"}, {"name": "z"}], "id": "8"}),
    st.just({"outputs": [{"name": "y", "parameters": {"classification": 1}}]}),
    st.just({"parameters": {"binary_data_output": True}}),
    st.just({"parameters": {"temperature": 1}}),
    st.just({"parameters": {"timeout": 1000}}),
    st.just({"parameters": {"sequence_id": 3}}),
)


@pytest.fixture
def version(version_info) -> VersionInfo:
    inputs = [("x", "INT8", (-1, -1)), ("s", "BYTES", (-1,))]
    made: VersionInfo = version_info(inputs, [("y", "FP32", (-1, 2)), ("z", "INT64", (-1,))])
    return made


@pytest.fixture
def route() -> V2InferRoute:
    found = OpenInferenceWire(max_body_bytes=1 << 20).predict_route(b"POST", b"/v2/models/m/infer")
    assert isinstance(found, V2InferRoute)
    return found


def body(values: list[list[int]], word: str = "a", **more: Any) -> bytes:
    tensors = [
        {"name": "x", "datatype": "INT8", "shape": [len(values), len(values[0])], "data": values},
        {"name": "s", "datatype": "BYTES", "shape": [len(values)], "data": [word] * len(values)},
    ]
    return orjson.dumps({"inputs": tensors, **more})


def outputs_for(rows: int) -> dict[str, Any]:
    return {"y": np.arange(rows * 2, dtype=np.float32).reshape(rows, 2) / 8, "z": np.arange(rows)}


def same(together: InferRequest, alone: list[Any]) -> bool:
    inputs = together.inputs or {}
    return all(
        as_array(inputs[name]).tolist() == [row for each in alone for row in as_array(each.inputs[name]).tolist()]
        for name in ("x", "s")
    )


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(st.tuples(ROWS, WORDS, MORE), min_size=1, max_size=4))
def test_each_is_read_and_answered_as_by_itself(exchange, call, version, route, asked: Any) -> None:
    codec = route.burst_codec(exchange(), version)
    bodies = [body(values, word, **more) for values, word, more in asked]
    try:
        decoded = codec.decode(bodies)
    except RequestError:
        return  # somebody's is wrong: each is read by itself
    if decoded is None:
        return
    together, rows = decoded
    alone = [route.decode(exchange(each), version) for each in bodies]
    assert (list(rows), together.rows) == ([each.rows for each in alone], sum(rows))
    assert {each.group for each in alone} == {together.group}
    assert same(together, alone)
    outputs = outputs_for(sum(rows))
    answer, texts = codec.encode(InferResponse(version, outputs), together, rows)
    start = 0
    for count, text, each in zip(rows, texts, alone, strict=True):
        own = {name: array[start : start + count] for name, array in outputs.items()}
        wanted = route.encode(InferResponse(version, own), each, call())
        assert text == wanted.body
        assert (answer.status, answer.content_type, answer.headers) == (200, wanted.content_type, wanted.headers)
        start += count


def test_usual_bodies_are_taken(exchange, version, route) -> None:
    """The property above would hold of a codec that gives everything up."""
    codec = route.burst_codec(exchange(), version)
    decoded = codec.decode([body([[1, 2]]), body([[3, 4], [5, 6]], "b", id="7", outputs=[{"name": "y"}])])
    assert decoded is not None
    assert decoded[1] == [1, 2]


@pytest.mark.parametrize(
    "other",
    [
        body([[1, 2, 3]]),
        body([[1, 2]], parameters={"temperature": 1}),
        body([[1, 2]], parameters={"timeout": 1000}),
        body([[1, 2]], parameters={"sequence_id": 3, "sequence_start": True}),
        body([[1, 2]], parameters={"binary_data_output": True}),
        body([[1, 2]], outputs=[{"name": "y", "parameters": {"binary_data": True}}]),
        body([[1, 2]], outputs=[{"name": "y", "parameters": {"classification": 1}}]),
    ],
    ids=["another shape", "parameters", "a time limit", "a sequence", "raw outputs", "one raw output", "classes"],
)
def test_some_are_given_up(exchange, version, route, other: bytes) -> None:
    assert route.burst_codec(exchange(), version).decode([body([[1, 2]]), other]) is None


def test_answers_are_compressed_where_all_of_them_would_be(exchange, version, route) -> None:
    codec = route.burst_codec(exchange(headers={"Accept-Encoding": "gzip"}), version)
    small, large = [[1, 2]], [[1, 2]] * 100
    for sent, is_packed in (([large, large], True), ([small, small], False), ([small, large], False)):
        request, rows = codec.decode([body(values) for values in sent])
        answer, texts = codec.encode(InferResponse(version, outputs_for(sum(rows))), request, rows)
        assert (("Content-Encoding", "gzip") in answer.headers) is is_packed
        documents = [orjson.loads(gzip.decompress(text) if is_packed else text) for text in texts]
        assert [document["outputs"][0]["shape"][0] for document in documents] == rows


def test_who_sends_raw_or_compressed_bodies_is_taken_alone(exchange, version, route) -> None:
    for headers in ({"Content-Encoding": "gzip"}, {"Inference-Header-Content-Length": "7"}):
        assert route.burst_codec(exchange(headers=headers), version) is None


def test_some_versions_have_no_bursts(exchange, version, version_info, route) -> None:
    for outputs in ([("y", "BYTES", (-1,))], [("y", "FP16", (-1,))], []):
        assert route.burst_codec(exchange(), version_info([("x", "INT8", (-1, 2))], outputs)) is None
    assert route.burst_codec(exchange(), version_info([("x", "INT8", (4, 2))], [("y", "FP32", (-1,))])) is None
    assert route.burst_codec(exchange(), replace(version, has_batch_dimension=False)) is None
    assert route.burst_codec(exchange(), replace(version, signatures={})) is None


def test_the_codec_of_a_version_is_kept(exchange, version, route) -> None:
    codec = route.burst_codec(exchange(), version)
    assert route.burst_codec(exchange(headers={"X-A": "1"}), version) is codec
    assert route.burst_codec(exchange(headers={"Accept-Encoding": "gzip"}), version) is not codec
    assert route.burst_codec(exchange(), replace(version, description="new")) is not codec
