"""`:classify` and `:regress`: examples in, classes or numbers out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from salver.operations.base import PredictRoute
from salver.types import Ranking, Signature, VersionInfo, as_array
from salver.wire.tfserving.request import TfRequest

Build = Callable[..., VersionInfo]
Decode = Callable[..., TfRequest]
Refuse = Callable[..., tuple[int, str]]

INPUTS = [("age", "FP32", (-1,)), ("name", "BYTES", (-1, 1)), ("codes", "INT64", (-1, 2)), ("is_new", "BOOL", (-1,))]
CLASSES = [("labels", "BYTES", (-1, 2)), ("scores", "FP32", (-1, 2))]
EXAMPLE = {"age": 80.0, "name": "ann", "codes": [1, True], "is_new": True}


@pytest.fixture
def classifier(version_info: Build) -> VersionInfo:
    return version_info(INPUTS, CLASSES, ranking=Ranking(classes="labels", probabilities="scores"))


@pytest.fixture
def regressor(version_info: Build) -> VersionInfo:
    return version_info([("x", "FP32", (-1,))], [("y", "FP32", (-1, 1))])


def test_features_become_named_inputs(decode: Decode, classifier: VersionInfo) -> None:
    request = decode(classifier, {"examples": [EXAMPLE, {**EXAMPLE, "age": [7.5]}]}, verb="classify")
    assert request.inputs is not None
    assert {name: as_array(tensor).tolist() for name, tensor in request.inputs.items()} == {
        "age": [80.0, 7.5],
        "name": [[b"ann"], [b"ann"]],
        "codes": [[1, 1], [1, 1]],
        "is_new": [True, True],
    }
    assert request.rows == 2


def test_the_context_is_in_every_example_and_the_example_wins(decode: Decode, classifier: VersionInfo) -> None:
    document = {"context": {**EXAMPLE, "age": 1.0}, "examples": [{}, {"age": 2.0}]}
    request = decode(classifier, document, verb="classify")
    assert request.inputs is not None
    assert as_array(request.inputs["age"]).tolist() == [1.0, 2.0]


def test_classes_are_pairs_of_label_and_score(encode: Callable[..., Any], classifier: VersionInfo) -> None:
    labels = np.array([[b"cat", b"d\xff"], [b"dog", b"cat"]], object)
    scores = np.array([[0.9, 0.1], [0.75, 0.25]], np.float32)
    document = {"examples": [EXAMPLE, EXAMPLE]}
    answer = encode(classifier, document, {"labels": labels, "scores": scores}, verb="classify")
    assert answer == {"results": [[["cat", 0.9], ["d\ufffd", 0.1]], [["dog", 0.75], ["cat", 0.25]]]}


def test_labels_that_are_numbers_are_written_as_text(encode: Callable[..., Any], classifier: VersionInfo) -> None:
    outputs = {"labels": np.array([[3, 1]]), "scores": np.array([[0.5, 0.5]])}
    answer = encode(classifier, {"examples": [EXAMPLE]}, outputs, verb="classify")
    assert answer == {"results": [[["3", 0.5], ["1", 0.5]]]}


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_a_regression_is_a_number_per_example(
    encode: Callable[..., Any], regressor: VersionInfo, shape: tuple[int, ...]
) -> None:
    output = np.array([3.5, 4.0], np.float32).reshape(shape)
    answer = encode(regressor, {"examples": [{"x": 1.0}, {"x": 2}]}, {"y": output}, verb="regress")
    assert answer == {"results": [3.5, 4.0]}


FEATURES: list[tuple[Any, str]] = [
    ({"x": None}, "Feature: x has element with unexpected JSON type: Null"),
    ({"x": [[1]]}, "Feature: x has element with unexpected JSON type: Array"),
    ({"x": {"y": 1}}, "Feature: x has element with unexpected JSON type: Object"),
    ({"x": [1, 2.5]}, "Unexpected element type in feature: x expecting type: int64"),
    ({"x": ["a", 2.5]}, "Unexpected element type in feature: x expecting type: bytes"),
    ({"x": [2.5, {"b64": "YQ=="}]}, "Unexpected element type in feature: x expecting type: float"),
    ({"x": 2**63}, "Feature: x has uint64_t element. Only int64_t is supported."),
    ([1], "Example must be JSON object but got JSON Array"),
    (True, "Example must be JSON object but got JSON True"),
    ({"y": 1.0}, "Feature: x is missing in example: 0"),
    ({"x": "a"}, 'Feature: x: JSON Value: "a" Type: String is not of expected type: float'),
    ({"x": [1.0, 2.0]}, "Input 'x' has the shape [1,2], the signature declares [-1]."),
]


@pytest.mark.parametrize(("example", "text"), FEATURES)
def test_examples_that_are_refused(refuse: Refuse, regressor: VersionInfo, example: Any, text: str) -> None:
    assert refuse(regressor, {"examples": [example]}, verb="regress") == (400, text)


def test_features_of_different_lengths_are_refused(refuse: Refuse, regressor: VersionInfo) -> None:
    refused = refuse(regressor, {"examples": [{"x": [1.0]}, {"x": [1.0, 2.0]}]}, verb="regress")
    assert refused == (400, "Feature: x: Encountered list at unexpected size: 2 at level: 1 expected size: 1")


@pytest.mark.parametrize("verb", ["classify", "regress"])
@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{}", "JSON Value: {{}} When method is {verb}, key 'examples' is expected and was not found"),
        (b'{"examples": 1}', "JSON Value: {{\"examples\": 1}} Expecting 'examples' value to be an list/array"),
        (b'{"examples": []}', "JSON Value: {{\"examples\": []}} 'examples' value is an empty array"),
        (b'{"context": 1, "examples": []}', "Example must be JSON object but got JSON Number"),
        (b'{"signature_name": "foo", "examples": [{}]}', "No signature was found with the name: foo"),
    ],
)
def test_documents_of_the_wrong_form(
    refuse: Refuse, classifier: VersionInfo, verb: str, body: bytes, text: str
) -> None:
    assert refuse(classifier, body, verb=verb) == (400, text.format(verb=verb))


def test_only_a_ranking_can_be_classified(refuse: Refuse, regressor: VersionInfo) -> None:
    status, text = refuse(regressor, {"examples": [{"x": 1.0}]}, verb="classify")
    assert status == 400
    assert text.startswith("Expected classification signature method_name to be tensorflow/serving/classify.")


@pytest.mark.parametrize(
    "outputs", [CLASSES, [("y", "INT64", (-1,))], [("y", "FP32", (-1, 2))], [("y", "FP32", (-1, 1, 1))]]
)
def test_only_one_number_per_row_can_be_regressed(refuse: Refuse, version_info: Build, outputs: Any) -> None:
    status, text = refuse(version_info([("x", "FP32", (-1,))], outputs), {"examples": [{"x": 1.0}]}, verb="regress")
    assert status == 400
    assert text.startswith("Expected regression signature method_name to be tensorflow/serving/regress.")


def test_another_signature_is_found_by_name(decode: Decode, version_info: Build, regressor: VersionInfo) -> None:
    version = version_info(
        signatures={
            "serving_default": Signature(inputs=(), outputs=()),
            "second": regressor.signatures["serving_default"],
        }
    )
    request = decode(version, {"signature_name": "second", "examples": [{"x": 1.0}]}, verb="regress")
    assert request.signature_name == "second"


def test_an_unknown_model_is_told_as_for_predictions(route: Callable[..., PredictRoute]) -> None:
    from salver.errors import Code, RequestError

    answer = route("/v1/models/m/versions/5:classify").error(RequestError(Code.VERSION_NOT_FOUND, "no"), None)
    assert (answer.status, answer.body) == (404, b'{"error":"Servable not found for request: Specific(m, 5)"}')


@pytest.mark.parametrize(
    ("outputs", "arrays", "pairs"),
    [
        (
            [("classes", "BYTES", (-1, 2)), ("scores", "FP32", (-1, 2))],
            {"classes": np.array([[b"a", b"b"]], object), "scores": np.array([[0.75, 0.25]], np.float32)},
            [["a", 0.75], ["b", 0.25]],
        ),
        (
            [("scores", "FP32", (-1, -1))],
            {"scores": np.array([[0.75, 0.25]], np.float32)},
            [["", 0.75], ["", 0.25]],
        ),
        ([("classes", "BYTES", (-1, 1))], {"classes": np.array([[b"a"]], object)}, [["a", 0.0]]),
    ],
)
def test_outputs_called_as_the_originals_are_classes(
    encode: Callable[..., Any], version_info: Build, outputs: Any, arrays: Any, pairs: Any
) -> None:
    """Scores without labels have empty ones, labels without scores have 0."""
    version = version_info([("x", "FP32", (-1,))], outputs)
    assert encode(version, {"examples": [{"x": 1.0}]}, arrays, verb="classify") == {"results": [pairs]}


@pytest.mark.parametrize(
    "outputs",
    [
        [("classes", "INT64", (-1, 2))],
        [("classes", "BYTES", (-1,))],
        [("scores", "BYTES", (-1, 2))],
        [("scores", "FP32", (-1, 2)), ("more", "FP32", (-1, 2))],
    ],
)
def test_outputs_of_another_kind_are_none(refuse: Refuse, version_info: Build, outputs: Any) -> None:
    version = version_info([("x", "FP32", (-1,))], outputs)
    assert refuse(version, {"examples": [{"x": 1.0}]}, verb="classify")[0] == 400
