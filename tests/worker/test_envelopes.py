"""What TorchServe's envelopes make of requests and answers, each caller's apart."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salver_worker.errors import InputError
from salver_worker.failures import PredictFailure
from salver_worker.runtimes.context import Context, RequestProcessor
from salver_worker.runtimes.envelopes import enveloped


def context(count: int = 1, **headers: str) -> Context:
    manifest = {"model": {"modelVersion": "1.0"}}
    made = Context(model_name="m", manifest=manifest, system_properties={}, model_yaml_config={})
    made.begin({place: f"request-{place}" for place in range(count)}, [RequestProcessor(headers)] * count)
    return made


def double(data: Any, _: Context) -> Any:
    return [2 * each for each in data]


def row(document: Any) -> dict[str, Any]:
    return {"body": bytearray(json.dumps(document).encode())}


@pytest.mark.parametrize("name", ["json", "kserve"])
def test_each_caller_gets_the_answers_to_its_own_rows(name: str) -> None:
    answers = enveloped(double, name)([row({"instances": [1, 2]}), row({"instances": [3]})], context(2))
    assert [json.loads(answer) for answer in answers] == [{"predictions": [2, 4]}, {"predictions": [6]}]


def test_explanations_have_a_name_of_their_own() -> None:
    (answer,) = enveloped(double, "kserve")([row({"instances": [1]})], context(explain="True"))
    assert json.loads(answer) == {"explanations": [2]}


def test_base64_is_bytes_alone_and_in_a_column() -> None:
    seen: list[Any] = []

    def look(data: Any, _: Context) -> Any:
        seen.extend(data)
        return [len(data)] * len(data)

    given = {"instances": [{"b64": "aGk="}, {"image": {"b64": "aGk="}, "n": 1}]}
    enveloped(look, "json")([{"body": given}], context())
    assert seen == [b"hi", {"image": b"hi", "n": 1}]


def test_the_body_alone_is_taken_out() -> None:
    assert enveloped(lambda data, _: data, "body")([{"data": "a"}, {"body": "b"}], context(2)) == ["a", "b"]


def test_inputs_of_version_2_have_their_shape_and_outputs_their_names() -> None:
    document = {
        "id": "7",
        "inputs": [
            {"name": "x", "datatype": "INT64", "shape": [2, 1], "data": [1, 2]},
            {"name": "t", "datatype": "BYTES", "shape": [1], "data": ["word"]},
        ],
    }

    def shapes(data: Any, _: Context) -> Any:
        assert [each["data"] for each in data] == [[[1], [2]], "word"]
        return [[1.5, 2.5], "word"]

    (answer,) = enveloped(shapes, "kservev2")([row(document)], context())
    assert json.loads(answer) == {
        "id": "7",
        "model_name": "m",
        "model_version": "1.0",
        "outputs": [
            {"name": "x", "datatype": "FP64", "data": [1.5, 2.5], "shape": [2]},
            {"name": "t", "datatype": "BYTES", "data": ["word"], "shape": [1]},
        ],
    }


@pytest.mark.parametrize("name", ["none", "", "other"])
def test_without_an_envelope_a_handler_is_as_it_is(name: str) -> None:
    assert enveloped(double, name) is double


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("json", {"body": bytearray(b"{")}),
        ("json", {"body": bytearray(b"[1]")}),
        ("json", row({"instances": []})),
        ("json", row({"instances": "text"})),
        ("json", row({"instances": [{"b64": "?"}]})),
        ("kservev2", row({"inputs": [1]})),
        ("kservev2", row({"inputs": []})),
        ("kservev2", row({"inputs": [{"name": "x", "datatype": "INT64", "shape": [3], "data": [1]}]})),
        ("kservev2", row({"inputs": [{"name": "x", "datatype": "ODD", "shape": [1], "data": [1]}]})),
        ("kservev2", row({"inputs": [{"name": "x", "datatype": "INT64", "shape": [1]}]})),
    ],
)
def test_what_does_not_fit_is_the_callers_error(name: str, given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        enveloped(double, name)([given], context())


@pytest.mark.parametrize(("name", "answers"), [("json", [1]), ("json", "text"), ("kservev2", "text")])
def test_a_handler_must_answer_every_row(name: str, answers: Any) -> None:
    rows = {"instances": [1, 2], "inputs": [{"name": "x", "datatype": "INT64", "shape": [1], "data": [1]}]}
    with pytest.raises(PredictFailure):
        enveloped(lambda data, _: answers, name)([row(rows)], context())
