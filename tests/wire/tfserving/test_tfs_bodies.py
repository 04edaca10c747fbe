"""Models that take bodies: one instance is one body, and its answer one prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from salver.operations.base import PredictRoute
from salver.types import Body, BodyResult, InferResponse, Part, VersionInfo
from salver.wire.tfserving.request import TfRequest

Build = Callable[..., VersionInfo]
Decode = Callable[..., TfRequest]


@pytest.fixture
def answer(route: Callable[..., PredictRoute], decode: Decode, call: Callable[..., Any], version_info: Build) -> Any:
    """`answer(document, result)`: the status and document of the answer."""

    def run(document: Any, result: BodyResult) -> tuple[int, Any]:
        version = version_info()
        found = route().encode(InferResponse(version, None, result), decode(version, document), call())
        return found.status, orjson.loads(found.body)

    return run


@pytest.mark.parametrize("document", [{"instances": [{"text": "hi", "n": [1]}]}, {"inputs": {"text": "hi", "n": [1]}}])
def test_an_instance_is_sent_as_its_json(decode: Decode, version_info: Build, document: Any) -> None:
    request = decode(version_info(), document)
    assert request.body == Body((Part("body", "application/json", b'{"text":"hi","n":[1]}'),), {})
    assert (request.inputs, request.rows, request.signature_name) == (None, 1, "serving_default")


def test_a_b64_object_is_sent_as_its_bytes(decode: Decode, version_info: Build) -> None:
    request = decode(version_info(), {"instances": [{"b64": "/9j/"}]})
    assert request.body == Body((Part("body", "application/octet-stream", b"\xff\xd8\xff"),), {})


def test_bodies_of_one_signature_share_a_batch(decode: Decode, version_info: Build) -> None:
    version = version_info()
    assert decode(version, {"instances": [1]}).group == decode(version, {"inputs": "x"}).group


def test_more_than_one_instance_is_refused(refuse: Callable[..., Any], version_info: Build) -> None:
    refused = refuse(version_info(), {"instances": [1, 2]})
    assert refused == (400, "This model takes one instance in each request, but got 2.")


def test_damaged_base64_is_refused(refuse: Callable[..., Any], version_info: Build) -> None:
    assert refuse(version_info(), {"instances": [{"b64": "?"}]}) == (400, "Unable to base64 decode")


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"cat": 0.9}', {"cat": 0.9}), (b"plain text", "plain text"), (b"\xff\xd8", {"b64": "/9g="}), (b"", "")],
)
def test_the_answer_is_the_one_prediction(answer: Any, data: bytes, value: Any) -> None:
    assert answer({"instances": [1]}, BodyResult(data)) == (200, {"predictions": [value]})
    assert answer({"inputs": 1}, BodyResult(data)) == (200, {"outputs": value})


@pytest.mark.parametrize(("given", "status"), [(422, 422), (599, 599), (600, 500)])
def test_an_error_that_the_model_set_stays_one(answer: Any, given: int, status: int) -> None:
    assert answer({"instances": [1]}, BodyResult(b"no cat", status=given)) == (status, {"error": "no cat"})
