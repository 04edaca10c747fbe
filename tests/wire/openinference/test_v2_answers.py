"""Outputs as JSON and as raw bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError

X = ("x", "FP32", (-1,))


@pytest.fixture
def ask(version_info, decode, tensor):
    """`ask(given, declared)`: a version with declared outputs, and a request that names the given ones."""

    def run(given: Any = None, declared: Any = (), **document: Any):
        version = version_info([X], declared, version=3)
        body = {"inputs": [tensor("x", "FP32", [1], [1])], **document}
        return version, decode(version, body if given is None else body | {"outputs": given})

    return run


def wish(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "parameters": parameters}


def test_all_outputs_are_flat_json(ask, answer, objects) -> None:
    version, request = ask(id="7")
    outputs = {"y": np.array([[1.5, np.nan], [3, 4]], "<f4"), "s": objects(b"a", "é".encode()), "z": np.float64(2)[...]}
    told = answer(version, request, outputs)
    assert told.document == {
        "id": "7",
        "model_name": "m",
        "model_version": "3",
        "outputs": [
            {"name": "y", "datatype": "FP32", "shape": [2, 2], "data": [1.5, None, 3, 4]},
            {"name": "s", "datatype": "BYTES", "shape": [2], "data": ["a", "é"]},
            {"name": "z", "datatype": "FP64", "shape": [], "data": [2]},
        ],
    }
    assert list(told.document) == ["id", "model_name", "model_version", "outputs"]
    assert list(told.document["outputs"][0]) == ["name", "datatype", "shape", "data"]


def test_without_an_id_there_is_none(ask, answer) -> None:
    for given in ({}, {"id": ""}, {"id": None}):
        assert "id" not in answer(*ask(**given), {"y": np.zeros(1)}).document


def test_arrays_of_any_order_are_written(ask, answer) -> None:
    version, request = ask()
    outputs = {"t": np.arange(4, dtype="<i4").reshape(2, 2).T, "b": np.arange(2, dtype=">i4")}
    assert [row["data"] for row in answer(version, request, outputs).document["outputs"]] == [[0, 2, 1, 3], [0, 1]]
    version, request = ask(parameters={"binary_data_output": True})
    told = answer(version, request, outputs)
    assert np.frombuffer(told.raw, "<i4").tolist() == [0, 2, 1, 3, 0, 1]


def test_outputs_come_as_they_are_asked_for(ask, answer, objects) -> None:
    version, request = ask([wish("s", binary_data=True), wish("y"), wish("b", content_type="base64")])
    outputs = {"y": np.ones(2, "<f4"), "s": objects(b"ab"), "h": np.ones(1, "<f2"), "b": objects(b"\xff")}
    told = answer(version, request, outputs)
    assert told.document["outputs"] == [
        {"name": "s", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
        {"name": "y", "datatype": "FP32", "shape": [2], "data": [1, 1]},
        {
            "name": "b",
            "datatype": "BYTES",
            "shape": [1],
            "parameters": {"content_type": "base64"},
            "data": ["/w=="],
        },
    ]
    assert told.raw == b"\x02\0\0\0ab"


def test_bf16_is_the_upper_half_of_float32(ask, answer) -> None:
    version, request = ask(parameters={"binary_data_output": True}, declared=[("y", "BF16", (-1,))])
    told = answer(version, request, {"y": np.array([1.0], "<f4")})
    assert told.document["outputs"][0]["datatype"] == "BF16"
    assert told.raw == b"\x80\x3f"


def refusal(ask: Any, answer: Any, outputs: Any, **how: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        answer(*ask(**how), outputs)
    return caught.value


def test_what_json_does_not_carry_is_refused(ask, answer, objects) -> None:
    error = refusal(ask, answer, {"y": np.ones(1, "<f2")})
    assert error.message.startswith("sending FP16 data via JSON is not supported.")
    error = refusal(ask, answer, {"y": objects(b"\xff")})
    assert error.message.startswith("sending bytes that are not UTF-8 via JSON is not supported.")
    assert error.code is Code.INVALID_INPUT


def test_an_output_that_the_model_did_not_answer(ask, answer) -> None:
    assert refusal(ask, answer, {"y": np.ones(1)}, given=[wish("z")]).code is Code.OUTPUT_INVALID


def test_a_version_without_a_signature_of_that_name_says_nothing_of_outputs(ask, answer, version_info) -> None:
    version, request = ask()
    request.version = version_info(signatures={})
    assert answer(version, request, {"y": np.ones(1, "<f4")}).document["outputs"][0]["datatype"] == "FP32"
