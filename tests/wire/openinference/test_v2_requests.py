"""Requests with JSON tensors: what they become, and the text for each that does not fit."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
import pytest

from salver.types import DEFAULT_SIGNATURE, Signature, TensorSpec, VersionInfo, as_array
from salver.wire.openinference.document import MAX_PARAMETERS_BYTES

Build = Callable[..., VersionInfo]
TWO = [("a", "FP32", (-1, 2)), ("b", "INT32", (-1, 1))]
OUT = [("y", "FP32", (-1, 2)), ("h", "FP16", (-1, 2))]


@pytest.fixture
def one(version_info: Build) -> VersionInfo:
    return version_info([("x", "FP32", (-1, 2))], [("y", "FP32", (-1, 2))])


@pytest.fixture
def two(version_info: Build) -> VersionInfo:
    return version_info(TWO, OUT)


def values(request: Any) -> dict[str, Any]:
    return {name: as_array(tensor).tolist() for name, tensor in request.inputs.items()}


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]], [[[1], 2], 3, [4]], [[[[1, 2, 3, 4]]]]])
def test_any_nesting_is_row_major(decode, one, tensor, data: Any) -> None:
    request = decode(one, {"inputs": [tensor("x", "FP32", [2, 2], data)]})
    assert values(request) == {"x": [[1, 2], [3, 4]]}
    assert (request.rows, request.id, request.wishes, request.is_binary) == (2, "", None, False)


def test_inputs_come_in_the_order_of_the_signature(decode, two, tensor) -> None:
    a, b = tensor("a", "FP32", [1, 2], [1.5, 2]), tensor("b", "INT32", [1, 1], [7])
    wanted = {"parameters": {"binary_data_output": True}}
    first, second = (decode(two, {"inputs": given, **wanted}) for given in ([a, b], [b, a]))
    assert list(second.inputs) == ["a", "b"]
    assert first.group == second.group


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("BOOL", [True, False]),
        ("INT8", [-128, 127]),
        ("UINT8", [0, 255]),
        ("INT16", [-32768, 32767]),
        ("UINT16", [0, 65535]),
        ("INT32", [-(2**31), 2**31 - 1]),
        ("UINT32", [0, 2**32 - 1]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT64", [0, 2**64 - 1]),
        ("FP32", [1, 2.5]),
        ("FP64", [1, 1e300]),
    ],
)
def test_each_datatype_takes_its_values(decode, version_info, tensor, datatype: str, data: list[Any]) -> None:
    version = version_info([("x", datatype, (-1, 2))])
    request = decode(version, {"inputs": [tensor("x", datatype, [1, 2], data)]})
    assert values(request) == {"x": [data]}
    assert as_array(request.inputs["x"]).dtype.name in datatype.lower().replace("fp", "float")


def test_text_is_utf_8_or_base64(decode, version_info, tensor) -> None:
    version = version_info([("x", "BYTES", (-1,))])
    assert decode(version, {"inputs": [tensor("x", "BYTES", [2], ["a", "é"])]}).inputs["x"].data == [b"a", "é".encode()]
    item = tensor("x", "BYTES", [1], ["/w=="], content_type="base64")
    assert decode(version, {"inputs": [item]}).inputs["x"].data == [b"\xff"]


@pytest.mark.parametrize(
    ("datatype", "data", "text"),
    [
        ("FP32", [1, 2, 3], "Unable to parse 'data': Shape does not match true shape of 'data' field"),
        ("FP32", [1], "Failed to parse 'data' field: shape does not match true shape"),
        ("FP32", ["1", 2], "Unable to parse 'data': The input 'x' takes FP32 values and holds text."),
        ("FP32", [1e39, 2], "Unable to parse 'data': The input 'x' holds a number that FP32 cannot"),
        ("INT8", [1, 128], "Unable to parse 'data': The input 'x' holds a number outside INT8"),
        ("INT8", [1, 1.5], "Unable to parse 'data': The input 'x' takes INT8 values and holds a number with a"),
        ("BOOL", [True, 1], "Unable to parse 'data': The input 'x' takes BOOL values and holds a whole number"),
        ("BYTES", ["a", 1], "Unable to parse 'data': an element of BYTES must be a string"),
        ("FP16", [1, 2], "receiving FP16 data via JSON is not supported. Please use the binary data format for input"),
        ("BF16", [1, 2], "receiving BF16 data via JSON is not supported. Please use the binary data format for input"),
    ],
)
def test_values_that_do_not_fit(refuse, version_info, tensor, datatype: str, data: Any, text: str) -> None:
    version = version_info([("x", datatype, (-1, 2))])
    status, told = refuse(version, {"inputs": [tensor("x", datatype, [1, 2], data)]})
    assert status == 400
    assert told.startswith(text)


def test_base64_that_is_none(refuse, version_info, tensor) -> None:
    version = version_info([("x", "BYTES", (-1,))])
    item = tensor("x", "BYTES", [1], ["*"], content_type="base64")
    assert refuse(version, {"inputs": [item]}) == (400, "Unable to parse 'data': an element is not base64")


A = ("a", "FP32", [1, 2], [1, 2])
B = ("b", "INT32", [1, 1], [7])


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([A, ("b", "FP32", [1, 1], [7])], "inference input 'b' data-type is 'FP32', but model 'm' expects 'INT32'"),
        ([A, A], "input 'a' already exists in request"),
        ([A, B, ("c", "FP32", [1], [1])], "unexpected inference input 'c' for model 'm'"),
        (
            [A],
            "expected 2 inputs but got 1 inputs for model 'm'. Got input(s) ['a'], but missing required",
        ),
        (
            [("a", "FP32", [1, 3], [1, 2, 3]), B],
            "unexpected shape for input 'a' for model 'm'. Expected [-1,2], got [1,3]",
        ),
        ([("a", "FP32", [2], [1, 2]), B], "unexpected shape for input 'a' for model 'm'. Expected [-1,2], got [2]"),
        ([A, ("b", "INT32", [2, 1], [7, 8])], "input 'b' batch size does not match other inputs for 'm'"),
        ([("a", "FP32", [0, 2], []), B], "input 'a' has no values: its shape is [0,2]"),
    ],
)
def test_inputs_that_the_model_does_not_take(refuse, two, tensor, items: Any, text: str) -> None:
    document = {"id": "42", "inputs": [tensor(*item) for item in items], "parameters": {"binary_data_output": True}}
    assert refuse(two, document)[1].startswith(f"[request id: 42] {text}")
    del document["id"]
    status, told = refuse(two, document)
    assert (status, told.startswith(f"[request id: <id_unknown>] {text}")) == (400, True)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "failed to parse the request JSON buffer: the document is empty at 0"),
        (b'{"inputs": NaN}', "failed to parse the request JSON buffer: NaN and Infinity are not JSON at 11"),
        (b"[" * 70 + b"]" * 70, "failed to parse the request JSON buffer: the document is nested deeper than 64"),
        (b"[]", "Unable to parse 'request': Expected `object`, got `array`"),
        (b"{}", "Unable to parse 'inputs': Object missing required field `inputs`"),
        (b'{"inputs": [{"name": 1}]}', "Unable to parse 'inputs': Expected `str`, got `int` - at `$.inputs[0].name`"),
        (b'{"inputs": [], "id": 1}', "Unable to parse 'id': Expected `str | null`, got `int`"),
        (b'{"inputs": [], "parameters": {"a": []}}', "Unable to parse 'parameters': Expected"),
        (b'{"inputs": [], "parameters": {"triton_a": 1}}', "parameter keys starting with 'triton_' are reserved"),
        (b'{"inputs": [], "parameters": {"binary_data_output": 1}}', "Unable to parse 'parameters': 'binary_data_out"),
    ],
)
def test_documents_of_another_form(refuse, one, body: bytes, text: str) -> None:
    status, told = refuse(one, body)
    assert status == 400
    assert told.startswith(text)


def test_a_shape_has_few_dimensions_that_count(refuse, one, tensor) -> None:
    for shape in ([-1, 2], [1] * 65, [1 << 60]):
        status, told = refuse(one, {"inputs": [tensor("x", "FP32", shape, [1, 2])]})
        assert (status, told.startswith("Unable to parse 'inputs': Expected")) == (400, True)


def test_values_are_in_the_json_or_behind_it(refuse, one, tensor) -> None:
    bare = {"name": "x", "datatype": "FP32", "shape": [1, 2]}
    assert refuse(one, {"inputs": [bare]})[1].startswith("must specify valid 'Infer-Header-Content-Length'")
    assert refuse(one, {"inputs": [tensor("x", "FP32", [1, 2], 8)]})[1].startswith("must specify valid 'Infer-Header")
    both = tensor("x", "FP32", [1, 2], [1, 2], binary_data_size=8)
    assert refuse(one, {"inputs": [both]}) == (400, "input 'x' has both 'data' and 'binary_data_size'")


def test_shared_memory_of_clients_is_refused(refuse, one, tensor) -> None:
    region = {"shared_memory_region": "r", "shared_memory_byte_size": 8}
    wanted = {"name": "y", "parameters": region}
    item = tensor("x", "FP32", [1, 2], [1, 2])
    assert refuse(one, {"inputs": [item | {"parameters": region}]})[1].startswith("shared memory regions of clients")
    assert refuse(one, {"inputs": [item], "outputs": [wanted]})[1].startswith("shared memory regions of clients")


def test_parameters_go_to_the_model_but_the_protocols_own(decode, one, tensor) -> None:
    document = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]}
    own = {
        "sequence_id": 0,
        "priority": 1,
        "content_type": "np",
        "timeout": 1000,
        "headers": "h",
        "binary_data_output": True,
    }
    assert decode(one, document | {"parameters": own}).parameters is None
    assert decode(one, document | {"parameters": own | {"scale": 2.5}}).parameters == {"scale": 2.5}


def test_requests_with_other_parameters_do_not_share_a_batch(decode, one, tensor) -> None:
    document = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]}
    groups = [
        decode(one, document | {"parameters": given}).group
        for given in (None, {"a": 1}, {"a": True}, {"a": 1.0}, {"a": 1, "b": 2}, {"b": 2, "a": 1})
    ]
    assert groups[4] == groups[5]
    assert len(set(groups)) == 5


def test_parameters_are_bounded(refuse, one, tensor) -> None:
    document = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])], "parameters": {"a": "a" * MAX_PARAMETERS_BYTES}}
    assert refuse(one, document)[1] == "Unable to parse 'parameters': they are above the limit of 65536 bytes"


def test_outputs_are_asked_for_by_name(decode, refuse, two, tensor) -> None:
    document = {"inputs": [tensor(*A), tensor(*B)]}
    request = decode(two, document | {"outputs": [{"name": "y"}, {"name": "h", "parameters": {"binary_data": True}}]})
    assert [(wish.name, wish.is_binary) for wish in request.wishes] == [("y", False), ("h", True)]
    unknown = document | {"outputs": [{"name": "z"}]}
    assert refuse(two, unknown) == (400, "[request id: <id_unknown>] unexpected inference output 'z' for model 'm'")
    default = {"parameters": {"binary_data_output": True}}
    request = decode(two, document | default | {"outputs": [{"name": "y", "parameters": {"binary_data": False}}]})
    assert [(wish.name, wish.is_binary) for wish in request.wishes] == [("y", False)]


def test_outputs_that_json_does_not_carry_are_refused_before_the_model_is_asked(refuse, two, tensor) -> None:
    document = {"inputs": [tensor(*A), tensor(*B)]}
    text = "sending FP16 data via JSON is not supported. Please use the binary data format for output"
    assert refuse(two, document) == (400, text)
    assert refuse(two, document | {"outputs": [{"name": "h"}]}) == (400, text)


@pytest.mark.parametrize("classes", [0, -1, True, "3", 1.5])
def test_a_number_of_classes_is_a_whole_number(refuse, one, tensor, classes: Any) -> None:
    wanted = [{"name": "y", "parameters": {"classification": classes}}]
    document = {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])], "outputs": wanted}
    assert refuse(one, document) == (400, "Unable to parse 'outputs': 'classification' must be a whole number above 0")


def test_bodies_may_be_compressed(decode, refuse, one, tensor) -> None:
    text = orjson.dumps({"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]})
    for name, packed in (("gzip", gzip.compress(text)), ("deflate", zlib.compress(text)), ("identity", text)):
        assert values(decode(one, packed, Content_Encoding=name)) == {"x": [[1, 2]]}
    assert refuse(one, text, Content_Encoding="br")[0] == 415
    assert refuse(one, text, Content_Encoding="deflate") == (400, "The body is not a deflate stream.")
    assert refuse(one, zlib.compress(bytes(2 << 20)), Content_Encoding="deflate")[0] == 413


def test_a_model_without_rows_takes_its_inputs_as_they_are(decode, version_info, tensor) -> None:
    version = version_info([("a", "FP32", ()), ("b", "FP32", (2,))], has_batch_dimension=False)
    request = decode(version, {"inputs": [tensor("a", "FP32", [], [1]), tensor("b", "FP32", [2], [1, 2])]})
    assert (request.rows, request.inputs["a"].shape) == (1, ())


def test_a_scalar_counts_as_a_row(decode, version_info, tensor) -> None:
    version = version_info([("a", "FP32", ())])
    assert decode(version, {"inputs": [tensor("a", "FP32", [], [1])]}).rows == 1


def test_a_model_without_the_default_signature_cannot_be_asked(refuse, version_info, tensor) -> None:
    other = Signature(inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1,)),), outputs=())
    status, text = refuse(version_info(signatures={"other": other}), {"inputs": []})
    assert (status, f"'{DEFAULT_SIGNATURE}'; the model has other." in text) == (400, True)
    assert "the model has none." in refuse(version_info(signatures={}), {"inputs": []})[1]


def test_the_plan_is_made_anew_for_another_version(route, exchange, version_info, tensor) -> None:
    found = route()
    for datatype in ("FP32", "FP64"):
        version = version_info([("x", datatype, (-1,))])
        body = orjson.dumps({"inputs": [tensor("x", datatype, [1], [1])]})
        assert found.decode(exchange(body), version).version is version
    assert found.burst_codec(exchange(body), version) is None


def test_values_lie_in_one_array(decode, one, tensor) -> None:
    request = decode(one, {"inputs": [tensor("x", "FP32", [2, 2], [[1, 2], [3, 4]])]})
    assert isinstance(request.inputs["x"].data, np.ndarray)
