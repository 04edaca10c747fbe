"""`Classify`, `Regress` and `MultiInference`: Examples in, classes or numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.operations.methods import GrpcStatus, JoinedMethod
from salver.types import Ranking, Signature, TensorSpec, as_array
from salver.wire.tfserving.grpc import PREDICTION, TfServingGrpcWire
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf

INVALID = GrpcStatus.INVALID_ARGUMENT
INPUTS = [("age", "FP32", (-1,)), ("name", "BYTES", (-1, 1)), ("codes", "INT8", (-1, 2)), ("is_new", "BOOL", (-1,))]
CLASSES = [("labels", "BYTES", (-1, 2)), ("scores", "FP32", (-1, 2))]
FEATURES: dict[str, list[Any]] = {"age": [80.0], "name": [b"ann"], "codes": [1, 2], "is_new": [1]}


def example(**features: list[Any]) -> tf.Example:
    found = tf.Example()
    for name, values in features.items():
        feature = found.features.feature[name]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return found


def classify(
    *examples: tf.Example, context: tf.Example | None = None, signature: str = ""
) -> tfs.ClassificationRequest:
    given = tfs.Input(example_list=tfs.ExampleList(examples=examples))
    if context is not None:
        given = tfs.Input(example_list_with_context=tfs.ExampleListWithContext(examples=examples, context=context))
    return tfs.ClassificationRequest(model_spec=tfs.ModelSpec(name="m", signature_name=signature), input=given)


def regress(*examples: tf.Example) -> tfs.RegressionRequest:
    given = tfs.Input(example_list=tfs.ExampleList(examples=examples))
    return tfs.RegressionRequest(model_spec=tfs.ModelSpec(name="m"), input=given)


@pytest.fixture
def classifier(version_info):
    return version_info(INPUTS, CLASSES, ranking=Ranking(classes="labels", probabilities="scores"))


@pytest.fixture
def regressor(version_info):
    return version_info([("x", "FP32", (-1,))], [("y", "FP32", (-1, 1))])


def test_features_become_named_inputs(calls, classifier) -> None:
    message = classify(example(**FEATURES), example(**{**FEATURES, "age": [7.5]}))
    request = calls.decode("Classify", message, classifier)
    assert {name: as_array(tensor).tolist() for name, tensor in request.inputs.items()} == {
        "age": [80.0, 7.5],
        "name": [[b"ann"], [b"ann"]],
        "codes": [[1, 2], [1, 2]],
        "is_new": [True, True],
    }


def test_the_context_is_in_every_example_and_the_example_wins(calls, classifier) -> None:
    message = classify(example(age=[2.0]), example(is_new=[0]), context=example(**FEATURES))
    request = calls.decode("Classify", message, classifier)
    assert as_array(request.inputs["age"]).tolist() == [2.0, 80.0]
    assert as_array(request.inputs["is_new"]).tolist() == [True, False]


def test_values_take_the_form_that_is_declared(calls, version_info) -> None:
    version = version_info([("x", "FP64", (-1, 2, 2))], [("y", "FP32", (-1,))])
    request = calls.decode("Regress", regress(example(x=[1.0, 2.0, 3.0, 4.0])), version)
    assert as_array(request.inputs["x"]).tolist() == [[[1, 2], [3, 4]]]


def test_a_model_of_serialized_examples_gets_them_with_the_context_before(calls, version_info) -> None:
    version = version_info([("inputs", "BYTES", (-1,))], [("y", "FP32", (-1,))])
    message = tfs.RegressionRequest(model_spec=tfs.ModelSpec(name="m"))
    given = message.input.example_list_with_context
    given.context.CopyFrom(example(a=[1]))
    given.examples.append(example(b=[2]))
    (raw,) = calls.decode("Regress", message, version).inputs["inputs"].data
    merged = tf.Example.FromString(raw)
    assert sorted(merged.features.feature) == ["a", "b"]


def test_classes_are_labels_with_scores(calls, classifier) -> None:
    outputs = {
        "labels": np.array([[b"cat", b"d\xff"]], object),
        "scores": np.array([[0.75, 0.25]], np.float32),
    }
    raw = calls.answer("Classify", classify(example(**FEATURES)), classifier, outputs)
    answer = tfs.ClassificationResponse.FromString(raw)
    (row,) = answer.result.classifications
    assert [(each.label, each.score) for each in row.classes] == [("cat", 0.75), ("d\ufffd", 0.25)]
    assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (1, "serving_default")


def test_regressions_are_numbers(calls, regressor) -> None:
    raw = calls.answer("Regress", regress(example(x=[2.0])), regressor, {"y": np.array([[3.0]], np.float32)})
    answer = tfs.RegressionResponse.FromString(raw)
    assert [each.value for each in answer.result.regressions] == [3.0]
    assert answer.model_spec.name == "m"


@pytest.mark.parametrize(
    ("features", "text"),
    [
        ({"age": [80]}, "Feature: age.  Data types don't match. Data type: int64 but expected type: float"),
        ({"name": [1]}, "Feature: name.  Data types don't match. Data type: int64 but expected type: string"),
        ({"codes": [1.0]}, "Feature: codes.  Data types don't match. Data type: float but expected type: int64"),
        ({"codes": [1, 128]}, "Feature: codes has a value that int8 cannot hold."),
        ({"codes": [1, 2, 3]}, "Input 'codes' has the shape [1,3], the signature declares [-1,2]."),
        ({"age": [1.0, 2.0]}, "Input 'age' has the shape [1,2], the signature declares [-1]."),
    ],
)
def test_features_that_do_not_fit_are_named(calls, classifier, features, text) -> None:
    message = classify(example(**{**FEATURES, **features}))
    assert calls.refused("Classify", message, classifier) == (INVALID, text)


def test_features_must_be_there_in_all_examples_alike(calls, regressor, version_info) -> None:
    missing = "Feature: x (data type: float) is required but could not be found."
    empty = tf.Example()
    empty.features.feature["x"].SetInParent()
    for each in (example(y=[1.0]), empty):
        assert calls.refused("Regress", regress(each), regressor) == (INVALID, missing)
    uneven = "Feature: x has not the same number of values in all examples."
    found = calls.refused("Regress", regress(example(x=[1.0]), example(x=[1.0, 2.0])), regressor)
    assert found == (INVALID, uneven)


def test_an_input_without_examples_is_empty(calls, regressor, classifier) -> None:
    assert calls.refused("Regress", regress(), regressor) == (INVALID, "Input is empty.")
    assert calls.refused("Classify", classify(context=example(**FEATURES)), classifier) == (INVALID, "Input is empty.")


def test_signatures_must_be_there_and_suit_the_call(calls, regressor, classifier) -> None:
    found = calls.refused("Classify", classify(example(**FEATURES), signature="foo"), classifier)
    assert found == (INVALID, "No signature was found with the name: foo")
    status, text = calls.refused("Classify", classify(example(x=[1.0])), regressor)
    assert (status, text.split(".")[0]) == (
        INVALID,
        "Expected classification signature method_name to be tensorflow/serving/classify",
    )
    status, text = calls.refused("Regress", regress(example(**FEATURES)), classifier)
    assert text.startswith("Expected regression signature method_name")


def test_a_model_of_bodies_takes_no_examples(calls, version_info) -> None:
    text = "This model takes bodies and has no signature for Examples; use Predict."
    assert calls.refused("Regress", regress(example(x=[1.0])), version_info()) == (INVALID, text)


@pytest.mark.parametrize(("name", "message"), [("Classify", tfs.ClassificationRequest()), ("Regress", b"")])
def test_a_message_that_names_no_model_is_refused(calls, name, message) -> None:
    assert calls.refused(name, message, None) == (INVALID, "Missing ModelSpec")


# MultiInference


def multi(*tasks: tuple[str, str, str]) -> tfs.MultiInferenceRequest:
    """Tasks of model, signature and the last word of the method's name."""
    return tfs.MultiInferenceRequest(
        tasks=[
            tfs.InferenceTask(
                model_spec=tfs.ModelSpec(name=model, signature_name=signature),
                method_name=f"tensorflow/serving/{method}",
            )
            for model, signature, method in tasks
        ],
        input=tfs.Input(example_list=tfs.ExampleList(examples=[example(x=[2.0])])),
    )


@pytest.fixture
def both(version_info):
    x = (TensorSpec(name="x", datatype="FP32", shape=(-1,)),)
    number = (TensorSpec(name="y", datatype="FP32", shape=(-1,)),)
    classes = tuple(TensorSpec(name=name, datatype=kind, shape=shape) for name, kind, shape in CLASSES)
    ranking = Ranking(classes="labels", probabilities="scores")
    return version_info(
        signatures={
            "r": Signature(inputs=x, outputs=number),
            "c": Signature(inputs=x, outputs=classes, ranking=ranking),
        }
    )


def test_each_task_is_a_prediction_and_the_answer_has_all(calls, both) -> None:
    from salver.types import InferResponse

    routes = calls.open("MultiInference", multi(("m", "r", "regress"), ("m", "c", "classify")))
    outputs: list[dict[str, Any]] = [
        {"y": np.array([3.0], np.float32)},
        {"labels": np.array([[b"a", b"b"]], object), "scores": np.array([[0.75, 0.25]], np.float32)},
    ]
    answers = []
    for route, found in zip(routes, outputs, strict=True):
        request = route.decode(None, both)
        answers.append(route.encode(InferResponse(both, found), request, None).body)
    methods = {each.path: each for each in TfServingGrpcWire(max_body_bytes=1).methods}
    method = methods[f"{PREDICTION}MultiInference"]
    assert isinstance(method, JoinedMethod)
    number, classes = tfs.MultiInferenceResponse.FromString(method.join(answers)).results
    assert number.regression_result.regressions[0].value == 3.0
    assert number.model_spec.signature_name == "r"
    assert classes.classification_result.classifications[0].classes[0].label == "a"


@pytest.mark.parametrize(
    ("message", "status", "text"),
    [
        (multi(), INVALID, "Inference request must have at least one task."),
        (multi(("", "r", "regress")), INVALID, "Found ModelSpec with an empty model name."),
        (
            multi(("m", "r", "regress"), ("n", "c", "classify")),
            INVALID,
            "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
        ),
        (multi(("m", "r", "regress"), ("m", "r", "classify")), INVALID, "Duplicate evaluation of signature: r"),
        (
            multi(("m", "r", "predict")),
            GrpcStatus.UNIMPLEMENTED,
            "Unsupported signature method_name: tensorflow/serving/predict",
        ),
    ],
)
def test_tasks_that_do_not_go_together_are_refused(calls, message, status, text) -> None:
    assert calls.refused("MultiInference", message, None) == (status, text)


def test_a_task_names_the_signature_that_is_not_there(calls, both, version_info) -> None:
    (route,) = calls.open("MultiInference", multi(("m", "foo", "regress")))
    for version, text in (
        (both, "Requested signature not found in model graph: foo"),
        (version_info(), "This model takes bodies"),
    ):
        with pytest.raises(Exception, match=text):
            route.decode(None, version)
