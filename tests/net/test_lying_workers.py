"""A worker runs the model's own code, so it may say anything: callers get an error, the others their answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salver_worker import frames

TENSORS = {
    "no tensors": {},
    "tensors that are a number": {"tensors": 5},
    "tensors that are words": {"tensors": ["y"]},
    "a tensor that is short": {"tensors": [["y", "FP32"]]},
    "a datatype nobody knows": {"tensors": [["y", "FP33", [1, 2], 8]]},
    "a datatype that is a list": {"tensors": [["y", [], [1, 2], 8]]},
    "a size that is a word": {"tensors": [["y", "FP32", [1, 2], "8"]]},
    "a size beyond the body": {"tensors": [["y", "FP32", [1, 2], 80]]},
    "a negative size": {"tensors": [["y", "FP32", [1, 2], -8]]},
    "a shape of words": {"tensors": [["y", "FP32", ["a"], 8]]},
    "a shape that does not fit": {"tensors": [["y", "FP32", [3, 2], 8]]},
    "a huge shape": {"tensors": [["y", "FP32", [10**30], 8]]},
    "a negative shape": {"tensors": [["y", "FP32", [-5], 8]]},
    "a huge shape of texts": {"tensors": [["y", "BYTES", [10**18], 8]]},
    "no rows": {"tensors": [["y", "FP32", [], 4]]},
    "a list": [],
    "a number": 7,
    "nothing": None,
}
BODIES = {
    "no responses": {},
    "responses that are a number": {"responses": 5},
    "too many responses": {"responses": [{}, {}]},
    "a response that is a number": {"responses": [5]},
    "a response without a size": {"responses": [{"status": 200, "phrase": "", "content_type": None}]},
    "a size that is a word": {"responses": [{"status": 200, "phrase": "", "content_type": None, "size": "a"}]},
    "a size beyond the body": {"responses": [{"status": 200, "phrase": "", "content_type": None, "size": 50}]},
    "a status that is a word": {"responses": [{"status": "a", "phrase": "", "content_type": None, "size": 0}]},
    "headers that are a list": {
        "responses": [{"status": 200, "phrase": "", "content_type": None, "size": 0, "headers": [1]}]
    },
    "headers that are numbers": {
        "responses": [{"status": 200, "phrase": "", "content_type": None, "size": 0, "headers": {"a": 1}}]
    },
    "a type that is a number": {"responses": [{"status": 200, "phrase": "", "content_type": 5, "size": 0}]},
    "a phrase that is a number": {"responses": [{"status": 200, "phrase": 5, "content_type": None, "size": 0}]},
}


def lies(server, model: str, header: object, verb: int = frames.RESULT, body: bytes = b"12345678") -> None:
    raw = json.dumps(header).encode() if not isinstance(header, bytes) else header

    def reply(id: int, *_: object) -> bytes:
        return frames.pack_prefix(verb, id, 0, len(raw), len(body)) + raw + body

    server.workers[model]._reply = reply


@pytest.fixture
def forgiving(running):
    """A server whose log may say that its workers lie, and must not say more."""
    yield running
    running.records.lines[:] = [
        line for line in running.records.lines if not ("malformed_result" in line or "model_error" in line)
    ]


def tell_the_truth(server, model: str) -> None:
    worker = server.workers[model]
    worker._reply = type(worker)._reply.__get__(worker)


@pytest.mark.parametrize("header", TENSORS.values(), ids=TENSORS.keys())
@pytest.mark.parametrize("path", ["/api/v1/models/m/predict", "/v1/models/m:predict"])
def test_malformed_tensors_are_an_error_of_the_model(forgiving, connect, say, path, header) -> None:
    lies(forgiving, "m", header)
    client = connect(forgiving)
    raw = say.post(path, b'{"instances":[[1,1]]}', "Content-Type: application/json")
    assert client.send(raw).answer().status == 500
    tell_the_truth(forgiving, "m")
    assert client.send(raw).answer().status == 200
    forgiving.until(lambda: forgiving.has_nothing_left)


@pytest.mark.parametrize("header", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("path", ["/api/v1/models/bodies/predict", "/predictions/bodies"])
def test_malformed_bodies_are_too(forgiving, connect, say, path, header) -> None:
    lies(forgiving, "bodies", header)
    raw = say.post(path, b"hello")
    assert connect(forgiving).send(raw).answer().status in (500, 503)
    tell_the_truth(forgiving, "bodies")
    assert connect(forgiving).send(raw).answer().body == b"hello"


ERRORS = {
    "no JSON": b"nonsense",
    "a list": [],
    "nothing": {},
    "an unknown code": {"code": "WHATEVER", "message": "m"},
    "a code that is a list": {"code": [], "message": "m"},
    "a message that is a number": {"code": "MODEL_ERROR", "message": 5},
    "a status that is a word": {"code": "MODEL_ERROR", "message": "m", "status": "a"},
    "a status beyond measure": {"code": "MODEL_ERROR", "message": "m", "status": 10**30},
    "a detail that is a list": {"code": "MODEL_ERROR", "message": "m", "detail": [1]},
    "half a character": {"code": "MODEL_ERROR", "message": "\ud800"},
}


@pytest.mark.parametrize("header", ERRORS.values(), ids=ERRORS.keys())
@pytest.mark.parametrize("path", ["/api/v1/models/m/predict", "/v1/models/m:predict"])
def test_malformed_errors_are_errors_all_the_same(forgiving, connect, say, path, header) -> None:
    lies(forgiving, "m", header, frames.ERROR, b"")
    client = connect(forgiving)
    answer = client.send(say.post(path, b'{"instances":[[1,1]]}', "Content-Type: application/json")).answer()
    assert answer.status >= 400
    forgiving.until(lambda: forgiving.has_nothing_left)


def test_a_verb_that_is_no_answer_is_an_error(forgiving, connect, say) -> None:
    lies(forgiving, "m", {}, frames.PONG)
    assert connect(forgiving).send(say.predict()).answer().status == 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(("tensors", "code", "a")), inner),
    max_leaves=10,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.dictionaries(st.sampled_from(("tensors", "responses", "code", "message", "status")), JSON) | JSON)
@pytest.mark.parametrize("verb", [frames.RESULT, frames.ERROR])
def test_whatever_it_says_every_caller_hears_something(forgiving, connect, say, verb, header) -> None:
    for model in ("m", "bodies"):
        lies(forgiving, model, header, verb)
    clients = [connect(forgiving) for _ in range(3)]
    for client in clients[:2]:
        client.send(say.predict())
    clients[2].send(say.post("/api/v1/models/bodies/predict", b"hello"))
    assert all(client.answer().status >= 200 for client in clients)
    for client in clients:
        client.close()
    forgiving.until(lambda: forgiving.has_nothing_left)
