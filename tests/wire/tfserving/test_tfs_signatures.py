"""Models with several signatures: each by its name, with rows or without, and with Examples as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.types import ModelStatus, ModelVersion, Signature, TensorSpec, VersionInfo, VersionState, VersionStatus
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.errors import Headers
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.status import metadata_answer

Build = Callable[..., VersionInfo]
Decode = Callable[..., TfRequest]
Refuse = Callable[..., tuple[int, str]]


def spec(name: str, datatype: str, *shape: int, has_rank: bool = True) -> TensorSpec:
    return TensorSpec(name=name, datatype=datatype, shape=shape, has_rank=has_rank)


SCORES, NUMBER = spec("scores", "FP32", -1, 1), spec("outputs", "FP32", -1, 1)
SIGNATURES = {
    "serving_default": Signature(inputs=(spec("x", "FP32", -1),), outputs=(spec("y", "FP32", -1),)),
    "whole": Signature(inputs=(spec("x", "FP32", -1),), outputs=(spec("y", "FP32"),)),
    "anything": Signature(inputs=(spec("x", "FP32", -1, has_rank=False),), outputs=(spec("y", "FP32"),)),
    "regress": Signature(inputs=(spec("inputs", "BYTES", -1),), outputs=(NUMBER,)),
    "classify": Signature(inputs=(spec("inputs", "BYTES", -1),), outputs=(SCORES,)),
}


@pytest.fixture
def several(version_info: Build) -> VersionInfo:
    return version_info(signatures=SIGNATURES, unbatched=("whole", "anything"))


def test_requests_of_one_signature_share_a_batch_and_those_of_others_do_not(decode: Decode, several: Any) -> None:
    first, second = (decode(several, {"instances": [1.0, 2.0]}) for _ in range(2))
    other = decode(several, {"signature_name": "regress", "instances": ["a", "b"]})
    assert first.group == second.group != other.group
    assert (first.rows, other.rows, other.signature_name) == (2, 2, "regress")


def test_a_signature_without_rows_is_asked_alone_and_whole(decode: Decode, several: Any) -> None:
    first, second = (decode(several, {"signature_name": "whole", "inputs": [1.0, 2.0, 3.0]}) for _ in range(2))
    assert first.group != second.group
    assert (first.rows, second.rows) == (1, 1)


@pytest.mark.parametrize(("value", "shape"), [(1.0, ()), ([1.0], (1,)), ([[1.0, 2.0]], (1, 2))])
def test_an_input_of_unknown_rank_takes_any_shape(decode: Decode, several: Any, value: Any, shape: Any) -> None:
    request = decode(several, {"signature_name": "anything", "inputs": value})
    assert request.inputs is not None
    assert request.inputs["x"].shape == shape


def test_the_short_road_leaves_an_input_of_unknown_rank_to_the_other(decode: Decode, version_info: Build) -> None:
    version = version_info(signatures={"serving_default": SIGNATURES["anything"]}, has_batch_dimension=False)
    request = decode(version, {"instances": [[1.0, 2.0], [3.0, 4.0]]})
    assert request.inputs is not None
    assert request.inputs["x"].shape == (2, 2)


# Examples as they are


def examples(request: TfRequest) -> list[dict[str, Any]]:
    assert request.inputs is not None
    tensor = request.inputs["inputs"]
    assert (tensor.datatype, tensor.shape) == ("BYTES", (len(tensor.data),))
    found = []
    for raw in tensor.data:
        features = tf.Example.FromString(raw).features.feature
        kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
        found.append({name: [kind, list(getattr(features[name], kind).value) if kind else []]
                      for name, kind in kinds.items()})  # fmt: skip
    return found


def test_a_model_that_parses_examples_gets_them_serialized(decode: Decode, several: Any) -> None:
    document = {
        "signature_name": "regress",
        "context": {"x": 1.0, "all": [7]},
        "examples": [
            {"x": 80.5, "words": ["a", {"b64": "/w=="}], "none": []},
            {"yes": True, "numbers": [1, -2]},
        ],
    }
    request = decode(several, document, verb="regress")
    assert request.rows == 2
    first, second = examples(request)
    assert first == {
        "x": ["float_list", [80.5]],
        "words": ["bytes_list", [b"a", b"\xff"]],
        "all": ["int64_list", [7]],
        "none": [None, []],
    }
    assert second == {
        "x": ["float_list", [1.0]],
        "yes": ["int64_list", [1]],
        "numbers": ["int64_list", [1, -2]],
        "all": ["int64_list", [7]],
    }


def test_its_answers_are_those_of_any_classifier(encode: Callable[..., Any], several: Any) -> None:
    scores = np.array([[0.5], [0.25]], np.float32)
    document = {"signature_name": "classify", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert encode(several, document, {"scores": scores}, verb="classify") == {"results": [[["", 0.5]], [["", 0.25]]]}


def test_text_that_is_no_base64_is_refused_by_its_feature(refuse: Refuse, several: Any) -> None:
    document = {"signature_name": "regress", "examples": [{"x": {"b64": "?"}}]}
    status, text = refuse(several, document, verb="regress")
    assert (status, text.startswith("Feature: x: ")) == (400, True)


# Metadata


def test_metadata_is_what_a_saved_model_says_of_itself(version_info: Build) -> None:
    told = {"inputs": {}, "outputs": {}, "method_name": "tensorflow/serving/classify", "defaults": {}}
    info = version_info(signatures=SIGNATURES, signature_defs={"classify": told, "serving_default": None})
    status = VersionStatus(
        id=ModelVersion("m", 1), state=VersionState.READY, runtime="", source="", environment="", replicas_wanted=1,
        info=info,
    )  # fmt: skip
    model = ModelStatus(name="m", versions=(status,), default_version=1)
    headers: Headers = ()
    answer = metadata_answer(model, Address(Verb.METADATA, "m"), headers)
    import orjson

    found = orjson.loads(answer.body)["metadata"]["signature_def"]["signature_def"]
    assert sorted(found) == ["classify", "serving_default"]
    assert found["classify"] == told
    assert found["serving_default"]["method_name"] == "tensorflow/serving/predict"
