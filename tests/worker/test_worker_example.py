"""The manifest's example decides whether a version goes live."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salver_worker.errors import InputError
from salver_worker.example import read_inputs, run_body, run_tensors
from salver_worker.failures import LoadFailure, PredictFailure
from salver_worker.runtimes.base import BodyRequest, BodyResponse, signature, tensor

DOUBLE = "def predict(x):\n    return {'y': x * 2, 'name': ['a'] * len(x)}"
SPEC = signature(
    [tensor("x", "FP32", (-1, 2))],
    [tensor("y", "FP32", (-1, 2)), tensor("label", "BYTES", (-1, -1))],
)


def doubled(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"y": inputs["x"] * 2, "label": np.array([[b"cat", b"dog"]] * len(inputs["x"]), object)}


def failure(example: dict[str, Any], predict: Callable[..., Any] = doubled) -> LoadFailure:
    with pytest.raises(LoadFailure) as caught:
        run_tensors(example, SPEC, ".", predict)
    return caught.value


@pytest.mark.parametrize(
    "expect",
    [None, {}, {"y": [[2.0, 4.0]]}, {"y": [[2.005]]}, {"label": [["cat"]]}, {"y": [[2, 4]], "label": [["cat", "dog"]]}],
)
def test_a_model_that_gives_the_expected_answer_passes(expect: Any) -> None:
    outputs = run_tensors({"inputs": {"x": [[1.0, 2.0]]}, "expect": expect}, SPEC, ".", doubled)
    assert outputs["y"].tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("expect", [{"y": [[2.5, 4.0]]}, {"y": [[2.0, 4.0], [1.0, 1.0]]}, {"label": [["dog"]]}])
def test_a_model_that_gives_another_answer_does_not(expect: dict[str, Any]) -> None:
    caught = failure({"inputs": {"x": [[1.0, 2.0]]}, "expect": expect})
    (name,) = expect
    assert caught.code == "EXAMPLE_MISMATCH"
    assert f"the example gave {name} = " in caught.message
    assert f"where {expect[name]!r} was expected (tolerance 0.01)" in caught.message
    assert caught.where == ("example", "expect")


def test_the_tolerance_is_the_manifests() -> None:
    example = {"inputs": {"x": [[1.0, 2.0]]}, "expect": {"y": [[2.4, 4.0]]}}
    assert run_tensors({**example, "tolerance": 0.5}, SPEC, ".", doubled)
    assert failure({**example, "tolerance": 0}).code == "EXAMPLE_MISMATCH"


@pytest.mark.parametrize(
    ("example", "where", "reason"),
    [
        (
            {"inputs": {"x": [[1.0, 2.0]]}, "expect": {"z": [1]}},
            ("example", "expect", "z"),
            "has no z; it has: y, label",
        ),
        ({"inputs": {"x": [[1.0, 2.0]], "z": [1]}}, ("example", "inputs", "z"), "the model's inputs are: x"),
        ({"inputs": {}}, ("example", "inputs"), "has no input x"),
        ({"inputs": {"x": [[1.0]]}}, ("example", "inputs", "x"), "must have the shape"),
        ({"inputs": {"x": [["a", "b"]]}}, ("example", "inputs", "x"), "is not a table of numbers"),
        ({"inputs": {"x": [[1.0], [1.0, 2.0]]}}, ("example", "inputs", "x"), "is not a table of numbers"),
        ({"inputs": {"x": {"file": "a.npy"}}}, ("example", "inputs", "x"), "a file gives bytes"),
    ],
)
def test_an_example_that_is_wrong_names_its_place(example: dict[str, Any], where: Any, reason: str) -> None:
    caught = failure(example)
    assert (caught.code, caught.where) == ("MANIFEST_INVALID", where)
    assert reason in caught.message


def test_a_model_that_fails_on_its_example_does_not_go_live() -> None:
    def broken(inputs: Any) -> Any:
        raise KeyError("weights")

    def refusing(inputs: Any) -> Any:
        raise InputError("x must be positive")

    def handler(inputs: Any) -> Any:
        raise PredictFailure("Prediction failed") from ZeroDivisionError("by zero")

    assert (
        failure({"inputs": {"x": [[1, 2]]}}, broken).message
        == "the model failed on its own example: KeyError: 'weights'"
    )
    assert failure({"inputs": {"x": [[1, 2]]}}, handler).message.endswith("ZeroDivisionError: by zero")
    refused = failure({"inputs": {"x": [[1, 2]]}}, refusing)
    assert (refused.code, refused.message) == ("MANIFEST_INVALID", "the model refuses its example: x must be positive")


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        ("INT64", [1, 2], [1, 2]),
        ("UINT8", [255], [255]),
        ("BOOL", [True, False], [True, False]),
        ("FP64", [1, 2], [1.0, 2.0]),
        ("BF16", [1.5], [1.5]),
        ("BYTES", "Å", ["Å".encode()]),
        ("BYTES", ["a", "b"], [b"a", b"b"]),
        ("BYTES", [], []),
        ("BYTES", {"file": "cat.jpg"}, [b"\xff\xd8"]),
        ("BYTES", [{"file": "cat.jpg"}, "b"], [b"\xff\xd8", b"b"]),
    ],
)
def test_values_become_arrays_of_the_signatures_datatype(
    tmp_path: Path, datatype: str, value: Any, expected: list[Any]
) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8")
    spec = signature([tensor("x", datatype, (-1,))], [])
    assert read_inputs({"x": value}, spec, str(tmp_path))["x"].tolist() == expected


@pytest.mark.parametrize(
    ("datatype", "value"),
    [("INT64", [1.5]), ("UINT8", [256]), ("UINT8", [-1]), ("BOOL", [2]), ("BYTES", [5]), ("BYTES", [["a"]])],
)
def test_values_that_would_change_are_refused(datatype: str, value: Any) -> None:
    with pytest.raises(LoadFailure, match=r"the (example's )?input x"):
        read_inputs({"x": value}, signature([tensor("x", datatype, (-1,))], []), ".")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("../secret", "outside"), ("/etc/passwd", "outside"), ("nothing.jpg", "No such file"), (".", "directory")],
)
def test_only_files_beside_the_manifest_are_read(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(LoadFailure, match=reason):
        read_inputs({"x": {"file": name}}, signature([tensor("x", "BYTES", (-1,))], []), str(tmp_path))


class Handler:
    """A body model that answers with what it was given."""

    def __init__(self, status: int = 200, answer: bytes = b'{"score": 0.5}') -> None:
        self.status, self.answer = status, answer
        self.seen: list[BodyRequest] = []

    def predict_bodies(self, requests: list[BodyRequest]) -> list[BodyResponse]:
        self.seen += requests
        return [BodyResponse(self.answer, status=self.status)]


def test_a_handler_is_sent_one_request_with_a_part_for_each_input(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8")
    inputs = {
        "data": {"file": "cat.jpg"},
        "raw": {"file": "cat.jpg", "content_type": "x/y"},
        "text": "a",
        "body": {"k": 1},
    }
    handler: Any = Handler()
    run_body({"inputs": inputs}, str(tmp_path), handler)
    (request,) = handler.seen
    assert [(name, kind, bytes(data)) for name, kind, data in request.parts] == [
        ("data", "image/jpeg", b"\xff\xd8"),
        ("raw", "x/y", b"\xff\xd8"),
        ("text", "", b"a"),
        ("body", "application/json", b'{"k": 1}'),
    ]


@pytest.mark.parametrize("expect", [None, {"body": {"score": 0.501}}, {"body": '{"score": 0.5}'}])
def test_a_handler_that_gives_the_expected_body_passes(expect: Any) -> None:
    handler: Any = Handler()
    run_body({"inputs": {"body": "x"}, "expect": expect}, ".", handler)


@pytest.mark.parametrize(
    ("handler", "expect", "reason"),
    [
        (Handler(status=503, answer=b"busy"), None, "with the status 503: 'busy'"),
        (Handler(), {"body": {"score": 0.7}}, "gave body = "),
        (Handler(answer=b"no json"), {"body": {"score": 0.7}}, "gave body = 'no json'"),
    ],
)
def test_a_handler_that_gives_another_does_not(handler: Any, expect: Any, reason: str) -> None:
    with pytest.raises(LoadFailure, match=reason) as caught:
        run_body({"inputs": {"body": "x"}, "expect": expect}, ".", handler)
    assert caught.value.code == "EXAMPLE_MISMATCH"


def test_a_worker_tells_how_long_the_example_took_and_what_came_out(serve_function: Any) -> None:
    worker = serve_function(DOUBLE, example={"inputs": {"x": [[1.0, 2.0]]}, "expect": {"y": [[2.0, 4.0]]}})
    assert worker.ready["example_s"] > 0
    assert worker.signature["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}]
    assert worker.signature["outputs"] == [
        {"name": "y", "datatype": "FP64", "shape": [-1, 2]},
        {"name": "name", "datatype": "BYTES", "shape": [-1]},
    ]


def test_outputs_that_only_the_example_showed_bind_nothing(serve_function: Any, driver: Any) -> None:
    worker = serve_function(
        "def predict(x):\n    return {'y': x} if x[0, 0] < 5 else {'z': ['big'] * len(x)}",
        example={"inputs": {"x": [[1.0, 2.0]]}},
    )
    link = worker.attach()
    assert link.predict(driver.tensor("x", [[9.0, 9.0]], "FP64")).arrays["z"].tolist() == [b"big"]


def test_a_worker_whose_example_fails_leaves_with_the_reason(refuse_function: Any) -> None:
    example = {"inputs": {"x": [[1.0, 2.0]]}, "expect": {"y": [[3.0, 4.0]]}}
    header = refuse_function(DOUBLE, example=example)
    assert header["code"] == "EXAMPLE_MISMATCH"
    assert header["where"] == ["example", "expect"]
    assert header["message"] == ("the example gave y = [[2.0, 4.0]] where [[3.0, 4.0]] was expected (tolerance 0.01)")


def test_an_answer_that_breaks_the_declared_signature_is_found_at_load(refuse_function: Any) -> None:
    header = refuse_function("def predict(x: float) -> int:\n    return 1.5", example={"inputs": {"x": [1.0]}})
    assert header["exception"] == "OutputInvalid"
    assert header["message"].startswith(
        "the model failed on its own example: OutputInvalid: the output output is float64"
    )
