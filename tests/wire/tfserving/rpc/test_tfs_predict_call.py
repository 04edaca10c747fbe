"""`Predict`: named tensors in, named tensors out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.operations.methods import GrpcStatus
from salver.types import BodyResult, as_array
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.rpc.tensors import proto_of

INVALID = GrpcStatus.INVALID_ARGUMENT


def asking(inputs: dict[str, tuple[Any, str]], *, outputs: tuple[str, ...] = (), **spec: Any) -> tfs.PredictRequest:
    version = spec.pop("version", None)
    message = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="m", **spec), output_filter=outputs)
    if version is not None:
        message.model_spec.version.value = version
    for name, (values, datatype) in inputs.items():
        array = np.array(values, object) if datatype == "BYTES" else np.array(values)
        kinds = {"FP32": "<f4", "INT64": "<i8", "BYTES": object}
        message.inputs[name].CopyFrom(proto_of(array.astype(kinds[datatype]), datatype))
    return message


@pytest.fixture
def two(version_info):
    return version_info(
        [("a", "FP32", (-1, 2)), ("b", "BYTES", (-1,))], [("y", "FP32", (-1,)), ("words", "BYTES", (-1,))]
    )


@pytest.fixture
def one(version_info):
    return version_info([("x", "FP32", (-1, 1))], [("y", "FP32", (-1,))])


@pytest.fixture
def body(version_info):
    return version_info()


BOTH = {"a": ([[1, 2], [3, 4]], "FP32"), "b": ([b"u", b"v"], "BYTES")}


def test_inputs_become_tensors_by_name(calls, two) -> None:
    request = calls.decode("Predict", asking(BOTH), two)
    assert {name: as_array(tensor).tolist() for name, tensor in request.inputs.items()} == {
        "a": [[1, 2], [3, 4]],
        "b": [b"u", b"v"],
    }
    assert (request.rows, request.signature_name) == (2, "serving_default")


def test_the_spec_names_version_or_label(calls) -> None:
    named = calls.open("Predict", asking({}, version=3))
    assert (named.model, named.version, named.label) == ("m", 3, None)
    assert calls.open("Predict", asking({}, version=0)).version == 0
    labelled = calls.open("Predict", asking({}, version_label="stable"))
    assert (labelled.version, labelled.label) == (None, "stable")


def test_one_value_per_row_fits_a_column(calls, one) -> None:
    request = calls.decode("Predict", asking({"x": ([1, 2, 3], "FP32")}), one)
    assert as_array(request.inputs["x"]).tolist() == [[1], [2], [3]]


def test_a_model_without_rows_takes_scalars(calls, version_info) -> None:
    version = version_info([("x", "FP32", ())], [("y", "FP32", ())], has_batch_dimension=False)
    request = calls.decode("Predict", asking({"x": (2.5, "FP32")}), version)
    assert (as_array(request.inputs["x"]).tolist(), request.rows) == (2.5, 1)
    raw = calls.answer("Predict", asking({"x": (2.5, "FP32")}), version, {"y": np.array(5, np.float32)})
    assert list(tfs.PredictResponse.FromString(raw).outputs["y"].float_val) == [5]


def test_the_answer_has_all_outputs_and_who_gave_them(calls, two) -> None:
    outputs = {"y": np.array([1, 2], np.float32), "words": np.array([b"a", b"b"], object)}
    answer = tfs.PredictResponse.FromString(calls.answer("Predict", asking(BOTH), two, outputs))
    assert list(answer.outputs["y"].float_val) == [1, 2]
    assert list(answer.outputs["words"].string_val) == [b"a", b"b"]
    spec = answer.model_spec
    assert (spec.name, spec.version.value, spec.signature_name, spec.version_label) == ("m", 1, "serving_default", "")


def test_the_answer_has_only_the_outputs_that_were_asked_for(calls, two) -> None:
    outputs = {"y": np.array([1, 2], np.float32), "words": np.array([b"a", b"b"], object)}
    raw = calls.answer("Predict", asking(BOTH, outputs=("words",)), two, outputs)
    assert list(tfs.PredictResponse.FromString(raw).outputs) == ["words"]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (b"\xff\xff", "The message is no tensorflow.serving.PredictRequest."),
        (tfs.PredictRequest(), "Missing ModelSpec"),
        (tfs.PredictRequest(model_spec=tfs.ModelSpec()), "ModelSpec has no name specified."),
    ],
)
def test_a_message_that_names_no_model_is_refused(calls, message, text) -> None:
    assert calls.refused("Predict", message, None) == (INVALID, text)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (
            asking({"a": BOTH["a"]}),
            (
                "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. "
                "Missing but required: {b}."
            ),
        ),
        (
            asking({"a": BOTH["a"], "z": BOTH["b"]}),
            "input tensor alias not found in signature: z. Inputs expected to be in the set {a,b}.",
        ),
        (
            asking(BOTH, outputs=("z",)),
            "output tensor alias not found in signature: z Outputs expected to be in the set {words,y}.",
        ),
        (asking(BOTH, outputs=("y", "y")), "duplicate output tensor alias: y"),
        (asking({**BOTH, "a": ([[1, 2], [3, 4]], "INT64")}), "Expects arg[0] to be float but int64 is provided"),
        (asking({**BOTH, "a": ([[1], [3]], "FP32")}), "Input 'a' has the shape [2,1], the signature declares [-1,2]."),
        (
            asking({**BOTH, "b": ([b"u"], "BYTES")}),
            "All inputs must have the same number of rows, but got 'a': 2, 'b': 1.",
        ),
        (asking({"a": (np.zeros((0, 2)), "FP32"), "b": ([], "BYTES")}), "A request must have at least one row."),
    ],
)
def test_inputs_that_do_not_fit_are_told_as_the_original_tells_it(calls, two, message, text) -> None:
    assert calls.refused("Predict", message, two) == (INVALID, text)


def test_an_unknown_signature_has_a_code_of_its_own(calls, two) -> None:
    found = calls.refused("Predict", asking(BOTH, signature_name="foo"), two)
    assert found == (GrpcStatus.FAILED_PRECONDITION, 'Serving signature key "foo" not found.')


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (Code.MODEL_NOT_FOUND, GrpcStatus.NOT_FOUND, "Servable not found for request: Latest(m)"),
        (Code.MODEL_NOT_READY, GrpcStatus.UNAVAILABLE, "It is so. Do so."),
        (Code.LABEL_NOT_FOUND, INVALID, "Unrecognized servable version label: None"),
        (Code.OVERLOADED, GrpcStatus.UNAVAILABLE, "It is so. Do so."),
        (Code.UNAUTHENTICATED, GrpcStatus.UNAUTHENTICATED, "It is so. Do so."),
    ],
)
def test_errors_have_the_originals_codes(calls, code, status, text) -> None:
    answer = calls.open("Predict", asking(BOTH)).error(
        RequestError(code, "It is so.", fix="Do so."), calls.of_version_1
    )
    assert (answer.status, answer.body.decode()) == (status, text)


def test_long_texts_are_cut_as_the_original_cuts_them(calls) -> None:
    route = calls.open("Predict", asking(BOTH))
    answer = route.error(RequestError(Code.INVALID_INPUT, "é" * 2000, fix=""), None)
    assert answer.body.decode() == "é" * 512 + "...TRUNCATED"


def test_a_wait_is_told(calls) -> None:
    route = calls.open("Predict", asking(BOTH))
    answer = route.error(RequestError(Code.OVERLOADED, "Full.", retry_after_s=1.5), None)
    assert answer.headers == (("retry-after", "2"),)


def test_a_handler_gets_a_lone_text_as_its_body(calls, body) -> None:
    request = calls.decode("Predict", asking({"data": (b"\x00raw", "BYTES")}), body)
    (part,) = request.body.parts
    assert (part.name, part.content_type, part.data) == ("body", "application/octet-stream", b"\x00raw")


def test_a_handler_gets_several_inputs_as_parts(calls, body) -> None:
    message = asking({"n": ([[1.5, 2]], "FP32"), "words": ([b"a", b"b"], "BYTES")})
    request = calls.decode("Predict", message, body)
    assert [(part.name, part.content_type, part.data) for part in request.body.parts] == [
        ("n", "application/json", b"[[1.5,2.0]]"),
        ("words", "application/json", b'["a","b"]'),
    ]


def test_a_handler_cannot_be_given_what_json_has_no_word_for(calls, body) -> None:
    message = asking({})
    message.inputs["x"].dtype = tf.DT_BFLOAT16
    text = "Input 'body' is bfloat16, which this model cannot be given."
    assert calls.refused("Predict", message, body) == (INVALID, text)
    assert calls.refused("Predict", asking({}), body) == (INVALID, "This model takes one input at least.")


def test_a_handlers_answer_is_one_text(calls, body) -> None:
    message = asking({"data": (b"x", "BYTES")}, outputs=("body",))
    answer = tfs.PredictResponse.FromString(calls.answer("Predict", message, body, BodyResult(b'{"a": 1}')))
    assert list(answer.outputs["body"].string_val) == [b'{"a": 1}']


@pytest.mark.parametrize(
    ("result", "code", "text"),
    [
        (BodyResult(b"no", status=400), Code.INVALID_INPUT, "no"),
        (BodyResult(b"", status=500, phrase="Broken"), Code.MODEL_ERROR, "Broken"),
        (BodyResult(b"", status=418), Code.MODEL_ERROR, "The model answered 418."),
    ],
)
def test_a_handlers_error_is_the_calls(calls, body, result, code, text) -> None:
    with pytest.raises(RequestError) as raised:
        calls.answer("Predict", asking({"data": (b"x", "BYTES")}), body, result)
    assert (raised.value.code, raised.value.message) == (code, text)
