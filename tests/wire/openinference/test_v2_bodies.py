"""Models that take bodies: elements of BYTES become parts, and what they answer becomes one."""

from __future__ import annotations

from typing import Any

import pytest

from salver.types import BodyResult
from salver.wire.openinference.binary import LENGTH_HEADER


def parts(request: Any) -> list[tuple[str, str, bytes]]:
    return [(part.name, part.content_type, part.data) for part in request.body.parts]


@pytest.fixture
def version(version_info):
    return version_info()


def test_each_input_is_a_part(decode, version, tensor) -> None:
    items = [
        tensor("body", "BYTES", [1], ['{"a": 1}'], content_type="application/json"),
        tensor("text", "BYTES", [1, 1], ["x"]),
        tensor("image", "BYTES", [1], ["/w=="], content_type="base64"),
        tensor("raw", "BYTES", [1], 5),
        tensor("png", "BYTES", [1], 5, content_type="image/png"),
    ]
    request = decode(version, {"inputs": items, "id": "7"}, b"\1\0\0\0a\1\0\0\0b", Authorization="no", X_A="yes")
    assert parts(request) == [
        ("body", "application/json", b'{"a": 1}'),
        ("text", "", b"x"),
        ("image", "application/octet-stream", b"\xff"),
        ("raw", "application/octet-stream", b"a"),
        ("png", "image/png", b"b"),
    ]
    assert (request.rows, request.id, request.inputs, request.parameters) == (1, "7", None, None)
    assert request.body.headers.keys() == {LENGTH_HEADER, "X-A"}


def test_a_raw_request_is_the_body(decode, version) -> None:
    request = decode(version, b"\xff\xd8", b"", **{LENGTH_HEADER.replace("-", "_"): "0"})
    assert parts(request) == [("body", "application/octet-stream", b"\xff\xd8")]
    assert request.is_binary


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ([], "model 'm' takes from 1 to 100 inputs"),
        ([("a", "BYTES", [1], ["x"])] * 2, "input 'a' already exists in request"),
        ([("a", "FP32", [1], [1])], "inference input 'a' data-type is 'FP32', but model 'm' expects 'BYTES'"),
        ([("a", "BYTES", [2], ["x", "y"])], "unexpected shape for input 'a' for model 'm'. Expected [1], got [2]"),
        ([("a", "BYTES", [], ["x"])], "unexpected shape for input 'a' for model 'm'. Expected [1], got []"),
        ([("a" * 2000, "BYTES", [1], ["x"])], f"the name of input '{'a' * 256}' is too long for model 'm'"),
    ],
)
def test_what_is_no_part(refuse, version, tensor, items: Any, text: str) -> None:
    document = {"inputs": [tensor(*item) for item in items]}
    assert refuse(version, document) == (400, f"[request id: <id_unknown>] {text}")


def test_the_only_output_is_the_body(refuse, version, tensor) -> None:
    document = {"inputs": [tensor("a", "BYTES", [1], ["x"])], "outputs": [{"name": "y"}]}
    assert refuse(version, document)[1].endswith("unexpected inference output 'y' for model 'm'")


def test_what_the_code_answers_is_one_element(decode, version, tensor, answer) -> None:
    item = tensor("a", "BYTES", [1], ["x"])
    told = answer(version, decode(version, {"inputs": [item]}), BodyResult(b'{"a": 1}'))
    assert told.document["outputs"] == [{"name": "body", "datatype": "BYTES", "shape": [1], "data": ['{"a": 1}']}]
    wanted = [{"name": "body", "parameters": {"binary_data": True}}]
    told = answer(version, decode(version, {"inputs": [item], "outputs": wanted}), BodyResult(b"\xff"))
    assert told.raw == b"\1\0\0\0\xff"


@pytest.mark.parametrize(("status", "told_status"), [(404, 404), (599, 599), (700, 500)])
def test_an_answer_with_an_errors_status_is_an_error(decode, version, tensor, answer, status, told_status) -> None:
    request = decode(version, {"inputs": [tensor("a", "BYTES", [1], ["x"])]})
    told = answer(version, request, BodyResult(b"no \xff", status=status))
    assert (told.status, told.document) == (told_status, {"error": "no \N{REPLACEMENT CHARACTER}"})
