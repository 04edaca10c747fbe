"""What a handler gets of a message of Open Inference, and what message its answer becomes."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.types import InferResponse
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import V2Request
from salver.wire.torchserve.oip.messages import handler_document, handler_message, tensor_message

FIELDS = {"FP32": "fp32_contents", "BYTES": "bytes_contents", "INT8": "int_contents"}


def message(*, raw: tuple[bytes, ...] = (), **inputs: tuple[str, list[Any]]) -> Any:
    asked = pb.ModelInferRequest(model_name="m", id="i")
    for name, (datatype, values) in inputs.items():
        tensor = asked.inputs.add(name=name, datatype=datatype, shape=[2])
        if datatype in FIELDS:
            getattr(tensor.contents, FIELDS[datatype]).extend(values)
        if raw:
            tensor.ClearField("contents")
    asked.raw_input_contents.extend(raw)
    return asked


def given(**inputs: Any) -> list[dict[str, Any]]:
    document = json.loads(handler_document(message(**inputs)))
    assert (document["id"], document["model_name"]) == ("i", "m")
    found: list[dict[str, Any]] = document["inputs"]
    return found


def test_values_become_json_and_bytes_base64() -> None:
    number, text = given(x=("FP32", [1.5, 3.1]), y=("BYTES", [b"a", b"\xff"]))
    assert number == {"name": "x", "datatype": "FP32", "shape": [2], "data": [1.5, 3.1]}
    assert text["data"] == ["YQ==", "/w=="]


def test_raw_values_are_read_too() -> None:
    raw = (np.array([1, -1], "<f2").tobytes(), b"\1\0\0\0a\0\0\0\0")
    half, text = given(x=("FP16", []), y=("BYTES", []), raw=raw)
    assert (half["data"], text["data"]) == ([1.0, -1.0], ["YQ==", ""])


def test_a_datatype_without_values_has_no_data() -> None:
    assert given(x=("STRANGE", [])) == [{"name": "x", "datatype": "STRANGE", "shape": [2]}]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"x": ("BF16", []), "raw": (b"abcd",)}, "is of BF16"),
        ({"x": ("FP16", []), "raw": (b"abc",)}, "no whole elements of FP16"),
        ({"x": ("FP32", [1.0, float("inf")])}, "NaN or an infinity"),
        ({"x": ("BYTES", []), "raw": (b"\1\0\0\0a",)}, "not the elements of its shape"),
    ],
)
def test_what_json_cannot_carry_is_refused(inputs: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told) as raised:
        handler_document(message(**inputs))
    assert raised.value.code is Code.INVALID_INPUT


def answered(document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return handler_message(body, "m", "1.0", "i")


def output(datatype: str, *data: Any) -> dict[str, Any]:
    return {"name": "y", "datatype": datatype, "shape": [len(data)], "data": list(data)}


def test_a_handlers_document_becomes_a_message() -> None:
    told = answered(
        {"id": 7, "model_name": "n", "model_version": 2, "outputs": [output("INT8", [1, 2]), output("BYTES", "a")]}
    )
    assert (told.id, told.model_name, told.model_version) == ("7", "n", "2")
    assert list(told.outputs[0].contents.int_contents) == [1, 2]
    assert list(told.outputs[1].contents.bytes_contents) == [b'"a"']


def test_what_a_handler_does_not_tell_is_known() -> None:
    told = answered({"outputs": []})
    assert (told.id, told.model_name, told.model_version) == ("i", "m", "1.0")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"\xff", "no document of Open Inference"),
        ({"nothing": 1}, "outputs"),
        ({"outputs": [output("FP16", 1.0)]}, "'FP16', which has no values"),
        ({"outputs": [output("INT8", "a")]}, "the output 'y'"),
        ({"outputs": [output("INT8", 2**40)]}, "the output 'y'"),
    ],
)
def test_an_answer_that_is_none_says_what_to_do(document: Any, told: str) -> None:
    with pytest.raises(RequestError, match=told) as raised:
        answered(document)
    assert (raised.value.code, raised.value.status) == (Code.OUTPUT_INVALID, 500)
    assert "kservev2" in raised.value.fix


@pytest.mark.parametrize(
    ("outputs", "typed", "raw"),
    [
        ({"y": np.array([[1, 2]], "<i4")}, [1, 2], []),
        ({"y": np.array([1], "<i4"), "h": np.array([1], "<f2")}, [], [b"\1\0\0\0", b"\x00<"]),
    ],
)
def test_tensors_are_typed_where_all_of_them_can_be(version_info, outputs: Any, typed: Any, raw: Any) -> None:
    version = version_info([("x", "INT32", (-1,))])
    request = V2Request(version, "serving_default", {}, None, 1, (), id="i")
    told = tensor_message(InferResponse(version, outputs), request, outputs, "1.0")
    assert (told.id, told.model_name, told.model_version) == ("i", "m", "1.0")
    assert list(told.outputs[0].contents.int_contents) == typed
    assert list(told.raw_output_contents) == raw
