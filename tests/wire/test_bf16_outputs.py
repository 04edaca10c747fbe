"""BF16 outputs, which NumPy has no type for: numbers in every wire's JSON, their own bytes where raw ones are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.serving.batching.assembly import Assembler
from salver.types import Array, InferRequest, InferResponse, VersionInfo
from salver.wire.native.answers import AnswerPlan
from salver.wire.native.codec import NativeRequest
from salver.wire.openinference.outputs import encode as openinference_answer
from salver.wire.openinference.request import V2Request
from salver.wire.tfserving.outputs import encode_outputs
from salver.wire.torchserve.encoding import encode as mms_answer
from salver_worker import frames

VALUES = [[1.5, -2.0], [0.0, 256.0]]
BITS = np.array([[0x3FC0, 0xC000], [0x0000, 0x4380]], "<u2")


@pytest.fixture
def version(version_info: Callable[..., VersionInfo]) -> VersionInfo:
    return version_info([("x", "FP32", (-1, 2))], [("y", "BF16", (-1, 2))])


@pytest.fixture
def outputs(version: VersionInfo) -> dict[str, Array]:
    """As a worker sends them."""
    header = frames.encode_header({"tensors": [frames.tensor_entry("y", "BF16", (2, 2), 8)]})
    return Assembler(version).arrays(header, memoryview(BITS.tobytes()))


def test_tensorflow_serving_answers_numbers(outputs: dict[str, Array]) -> None:
    assert orjson.loads(encode_outputs(outputs, is_row=True)) == {"predictions": VALUES}
    assert orjson.loads(encode_outputs(outputs, is_row=False)) == {"outputs": VALUES}


def test_the_native_protocol_answers_numbers(version: VersionInfo, outputs: dict[str, Array]) -> None:
    request = NativeRequest(version, "serving_default", {}, None, 2, "g")
    answer = AnswerPlan(version, None).encode(InferResponse(version, outputs), request, "1")
    assert orjson.loads(answer.body)["outputs"] == {"y": VALUES}


def test_mms_answers_numbers(version: VersionInfo, outputs: dict[str, Array]) -> None:
    request = InferRequest(version, "serving_default", {}, None, 2, "g")
    assert orjson.loads(mms_answer(InferResponse(version, outputs), request, "1").body) == VALUES


def test_open_inference_answers_its_bytes(version: VersionInfo, outputs: dict[str, Array]) -> None:
    request = V2Request(version, "serving_default", {}, None, 2, "g", is_binary=True)
    answer = openinference_answer(InferResponse(version, outputs), request, outputs)
    length = int(dict(answer.headers)["Inference-Header-Content-Length"])
    (told,) = orjson.loads(answer.body[:length])["outputs"]
    assert (told["datatype"], answer.body[length:]) == ("BF16", BITS.tobytes())


@pytest.mark.parametrize("bits", [0x0000, 0x8000, 0x0001, 0x7F80, 0xFF80, 0x7FC1, 0x3F80])
def test_every_value_leaves_as_it_came(version: VersionInfo, bits: int) -> None:
    header = frames.encode_header({"tensors": [frames.tensor_entry("y", "BF16", (1, 1), 2)]})
    raw: Any = np.array([bits], "<u2").tobytes()
    outputs = Assembler(version).arrays(header, memoryview(raw))
    request = V2Request(version, "serving_default", {}, None, 1, "g", is_binary=True)
    assert openinference_answer(InferResponse(version, outputs), request, outputs).body.endswith(raw)
