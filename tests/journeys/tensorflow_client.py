"""What users of TensorFlow Serving write: run with the real TensorFlow and its stubs, in an environment of its own.

`python tensorflow_client.py ADDRESS` prints one JSON document: what each call answered.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToDict
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

WAIT_S = 60.0
FIELDS = {
    "BOOL": "bool_val",
    "INT64": "int64_val",
    "UINT32": "uint32_val",
    "UINT64": "uint64_val",
    "FP16": "half_val",
    "BF16": "half_val",
    "FP32": "float_val",
    "FP64": "double_val",
    "BYTES": "string_val",
}
VALUES = {
    "BOOL": np.array([[True, False], [False, True]]),
    "INT8": np.array([[-128, 127], [0, -1]], np.int8),
    "INT16": np.array([[-32768, 32767], [0, -1]], np.int16),
    "INT32": np.array([[-(2**31), 2**31 - 1], [0, -1]], np.int32),
    "INT64": np.array([[-(2**63), 2**63 - 1], [0, -1]], np.int64),
    "UINT8": np.array([[0, 255], [1, 2]], np.uint8),
    "UINT16": np.array([[0, 65535], [1, 2]], np.uint16),
    "UINT32": np.array([[0, 2**32 - 1], [1, 2]], np.uint32),
    "UINT64": np.array([[0, 2**64 - 1], [1, 2]], np.uint64),
    "FP16": np.array([[0.5, -65504.0], [np.inf, 1e-7]], np.float16),
    "BF16": np.array([[0.5, -2.0], [3.0, 1.5]], tf.bfloat16.as_numpy_dtype),
    "FP32": np.array([[0.1, -1e38], [np.nan, np.inf]], np.float32),
    "FP64": np.array([[0.1, -1e308], [np.nan, -np.inf]], np.float64),
    "BYTES": np.array([[b"", b"\x00\xff"], ["é".encode(), b"a"]], object),
}


class Client:
    def __init__(self, address: str) -> None:
        size = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        channel = grpc.insecure_channel(address, options=size)
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(channel)

    def predict(
        self, model: str, inputs: dict[str, Any], timeout: float = WAIT_S, **spec: Any
    ) -> predict_pb2.PredictResponse:
        return self.prediction.Predict(predict_request(model, inputs, **spec), timeout)


def predict_request(
    model: str,
    inputs: dict[str, Any],
    *,
    version: int | None = None,
    label: str = "",
    signature: str = "",
    outputs: tuple[str, ...] = (),
) -> predict_pb2.PredictRequest:
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    if label:
        request.model_spec.version_label = label
    request.output_filter.extend(outputs)
    for name, value in inputs.items():
        proto = value if isinstance(value, tensor_pb2.TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request


def in_field(datatype: str) -> Any:
    """The values in the field of their datatype instead of `tensor_content`."""
    array = VALUES[datatype]
    proto = tf.make_tensor_proto(array)
    values = array.reshape(-1)
    if datatype in ("FP16", "BF16"):
        values = values.view(np.uint16)
    proto.ClearField("tensor_content")
    name = FIELDS.get(datatype, "int_val")
    proto.ClearField(name)
    getattr(proto, name).extend(values.tolist())
    return proto


def mirrored(client: Client, inputs: dict[str, Any]) -> dict[str, Any]:
    """Which datatypes did not come back as they were sent, and what was odd about the answers."""
    response = client.predict("mirror", inputs)
    wrong: list[str] = []
    for datatype, sent in VALUES.items():
        name, expected = ("wide", sent.astype(np.float32)) if datatype == "BF16" else (datatype, sent)
        proto = response.outputs[name]
        got = tf.make_ndarray(proto)
        is_same = got.dtype == expected.dtype and got.shape == expected.shape
        if not is_same or not np.array_equal(got, expected, equal_nan=expected.dtype.kind == "f"):
            wrong.append(f"{name}: {got!r}")
        if proto.tensor_content:
            wrong.append(f"{name} in tensor_content")
    return {"wrong": wrong, "spec": spec_of(response.model_spec)}


def spec_of(spec: Any) -> dict[str, Any]:
    return {
        "name": spec.name,
        "version": spec.version.value if spec.HasField("version") else None,
        "label": spec.version_label,
        "signature": spec.signature_name,
    }


def error_of(call: Callable[[], Any]) -> list[str]:
    try:
        answer = call()
    except grpc.FutureCancelledError:
        return ["CANCELLED"]
    except grpc.RpcError as error:
        return [error.code().name, error.details()]
    return ["OK", str(answer)]


def example(**features: Any) -> tf.train.Example:
    found: dict[str, tf.train.Feature] = {}
    for name, value in features.items():
        if isinstance(value, bytes):
            found[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        elif isinstance(value, float):
            found[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        elif isinstance(value, list):
            found[name] = tf.train.Feature(float_list=tf.train.FloatList(value=value))
        else:
            found[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=found))


def seven(nonce: int, act: str = "") -> dict[str, Any]:
    return {"nonce": np.array([nonce]), "act": [act]}


def predictions(client: Client) -> dict[str, Any]:
    ones = np.ones((1, 4), np.float32)

    def line(**spec: Any) -> list[Any]:
        response = client.predict("line", {"x": ones}, **spec)
        return [tf.make_ndarray(response.outputs["y"]).tolist(), spec_of(response.model_spec)]

    repeated = tf.make_tensor_proto(1.0, shape=[2, 4], dtype=tf.float32)
    filtered = client.predict("mirror", dict(VALUES), outputs=("FP32", "BYTES"))
    handled = client.predict("handler", {"data": b'{"nonce": 5}'})
    many = np.random.default_rng(0).random((1000, 4), np.float32)
    wide = tf.make_ndarray(client.predict("line", {"x": many}).outputs["y"])
    one = client.predict("seven", seven(5))
    return {
        "content": mirrored(client, dict(VALUES)),
        "fields": mirrored(client, {name: in_field(name) for name in VALUES}),
        "default": line(),
        "version": line(version=1),
        "label": line(label="canary"),
        "signature": line(signature="serving_default"),
        "repeated": tf.make_ndarray(client.predict("line", {"x": repeated}).outputs["y"]).tolist(),
        "few values": len(repeated.float_val),
        "filtered": sorted(filtered.outputs),
        "handler": [tf.make_ndarray(handled.outputs["body"]).tolist()[0].decode(), spec_of(handled.model_spec)],
        "large": bool(np.allclose(wide, 3 * many + 1)),
        "one": tf.make_ndarray(one.outputs["answer"]).tolist(),
    }


def examples(client: Client) -> dict[str, Any]:
    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name = "pets"
    classify.input.example_list.examples.extend([example(x=[0.9, 0.1, 0.2]), example(x=[0.1, 0.2, 0.7])])
    classified = client.prediction.Classify(classify, WAIT_S)

    regress = regression_pb2.RegressionRequest()
    regress.model_spec.name = "half_plus_two"
    regress.input.example_list_with_context.context.CopyFrom(example(x=2.0))
    regress.input.example_list_with_context.examples.extend([example(), example(x=4.0)])
    regressed = client.prediction.Regress(regress, WAIT_S)

    multi = inference_pb2.MultiInferenceRequest()
    task = multi.tasks.add()
    task.model_spec.name = "half_plus_two"
    task.method_name = "tensorflow/serving/regress"
    multi.input.example_list.examples.extend([example(x=2.0)])
    inferred = client.prediction.MultiInference(multi, WAIT_S)

    wrong_kind = regression_pb2.RegressionRequest()
    wrong_kind.model_spec.name = "half_plus_two"
    wrong_kind.input.example_list.examples.extend([example(x=2)])
    missing = regression_pb2.RegressionRequest()
    missing.model_spec.name = "half_plus_two"
    missing.input.example_list.examples.extend([example()])
    empty = regression_pb2.RegressionRequest()
    empty.model_spec.name = "half_plus_two"
    no_signature = regression_pb2.RegressionRequest()
    no_signature.CopyFrom(regress)
    no_signature.model_spec.signature_name = "foo"
    return {
        "classes": [
            [[each.label, round(each.score, 3)] for each in row.classes] for row in classified.result.classifications
        ],
        "classify spec": spec_of(classified.model_spec),
        "numbers": [each.value for each in regressed.result.regressions],
        "multi": [
            [result.WhichOneof("result"), result.regression_result.regressions[0].value, spec_of(result.model_spec)]
            for result in inferred.results
        ],
        "wrong kind": error_of(lambda: client.prediction.Regress(wrong_kind, WAIT_S)),
        "missing": error_of(lambda: client.prediction.Regress(missing, WAIT_S)),
        "empty": error_of(lambda: client.prediction.Regress(empty, WAIT_S)),
        "no signature": error_of(lambda: client.prediction.Regress(no_signature, WAIT_S)),
    }


def saved_model(client: Client) -> dict[str, Any]:
    """TensorFlow Serving's own example: signatures of Examples, by their names."""
    name = "half"

    def regress(signature: str, *given: tf.train.Example) -> list[float]:
        request = regression_pb2.RegressionRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        request.input.example_list.examples.extend(given)
        return [each.value for each in client.prediction.Regress(request, WAIT_S).result.regressions]

    classify = classification_pb2.ClassificationRequest()
    classify.model_spec.name, classify.model_spec.signature_name = name, "classify_x_to_y"
    classify.input.example_list_with_context.context.CopyFrom(example(x=2.0))
    classify.input.example_list_with_context.examples.extend([example(), example(x=4.0)])
    classified = client.prediction.Classify(classify, WAIT_S).result.classifications

    multi = inference_pb2.MultiInferenceRequest()
    for signature, method in (("regress_x_to_y", "regress"), ("classify_x_to_y", "classify")):
        task = multi.tasks.add()
        task.model_spec.name, task.model_spec.signature_name = name, signature
        task.method_name = f"tensorflow/serving/{method}"
    multi.input.example_list.examples.extend([example(x=2.0)])
    inferred = client.prediction.MultiInference(multi, WAIT_S).results

    numbers = np.array([[1.0], [2.0], [5.0]], np.float32)
    serialized = np.array([example(x=4.0).SerializeToString()], object)
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = name
    signatures = get_model_metadata_pb2.SignatureDefMap()
    client.prediction.GetModelMetadata(request, WAIT_S).metadata["signature_def"].Unpack(signatures)
    return {
        "predict": tf.make_ndarray(client.predict(name, {"x": numbers}).outputs["y"]).tolist(),
        "named": tf.make_ndarray(
            client.predict(name, {"inputs": numbers}, signature="regress_x2_to_y3").outputs["outputs"]
        ).tolist(),
        "serialized": tf.make_ndarray(
            client.predict(name, {"inputs": serialized}, signature="regress_x_to_y").outputs["outputs"]
        ).tolist(),
        "regress": regress("regress_x_to_y", example(x=1.0), example(x=4.0)),
        "other": regress("regress_x_to_y2", example(x=1.0)),
        "classify": [[[each.label, each.score] for each in row.classes] for row in classified],
        "multi": [
            inferred[0].regression_result.regressions[0].value,
            inferred[1].classification_result.classifications[0].classes[0].score,
            [each.model_spec.signature_name for each in inferred],
        ],
        "wrong kind": error_of(lambda: regress("regress_x_to_y", example(x=1))),
        "metadata": {key: MessageToDict(each) for key, each in signatures.signature_def.items()},
    }


def told(client: Client) -> dict[str, Any]:
    metadata_request = get_model_metadata_pb2.GetModelMetadataRequest()
    metadata_request.model_spec.name = "line"
    metadata_request.metadata_field.append("signature_def")
    metadata = client.prediction.GetModelMetadata(metadata_request, WAIT_S)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    packed = metadata.metadata["signature_def"]
    packed.Unpack(signatures)
    default = signatures.signature_def["serving_default"]

    status_request = get_model_status_pb2.GetModelStatusRequest()
    status_request.model_spec.name = "line"
    status = client.model.GetModelStatus(status_request, WAIT_S)
    status_request.model_spec.version.value = 7
    no_field = get_model_metadata_pb2.GetModelMetadataRequest()
    no_field.model_spec.name = "line"
    other_field = get_model_metadata_pb2.GetModelMetadataRequest()
    other_field.CopyFrom(metadata_request)
    other_field.metadata_field.append("foo")
    unknown = get_model_status_pb2.GetModelStatusRequest()
    unknown.model_spec.name = "other"
    return {
        "type url": packed.type_url,
        "metadata spec": spec_of(metadata.model_spec),
        "method": default.method_name,
        "inputs": {
            name: [tf.dtypes.as_dtype(info.dtype).name, [dim.size for dim in info.tensor_shape.dim], info.name]
            for name, info in default.inputs.items()
        },
        "outputs": sorted(default.outputs),
        "states": [
            [each.version, get_model_status_pb2.ModelVersionStatus.State.Name(each.state), each.status.error_code]
            for each in status.model_version_status
        ],
        "unknown version": error_of(lambda: client.model.GetModelStatus(status_request, WAIT_S)),
        "unknown model": error_of(lambda: client.model.GetModelStatus(unknown, WAIT_S)),
        "no field": error_of(lambda: client.prediction.GetModelMetadata(no_field, WAIT_S)),
        "other field": error_of(lambda: client.prediction.GetModelMetadata(other_field, WAIT_S)),
    }


def errors(client: Client) -> dict[str, Any]:
    ones = np.ones((1, 4), np.float32)
    unreadable = tf.make_tensor_proto(ones)
    unreadable.tensor_content = b"abc"
    huge = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[1.0])
    huge.tensor_shape.CopyFrom(tf.TensorShape([100_000_000, 4]).as_proto())
    cases: dict[str, Callable[[], Any]] = {
        "unknown model": lambda: client.predict("other", {"x": ones}),
        "unknown version": lambda: client.predict("line", {"x": ones}, version=7),
        "version 0": lambda: client.predict("line", {"x": ones}, version=0),
        "unknown label": lambda: client.predict("line", {"x": ones}, label="L"),
        "unknown signature": lambda: client.predict("line", {"x": ones}, signature="foo"),
        "no spec": lambda: client.prediction.Predict(predict_pb2.PredictRequest(), WAIT_S),
        "no name": lambda: client.predict("", {"x": ones}),
        "missing input": lambda: client.predict("line", {}),
        "extra input": lambda: client.predict("line", {"x": ones, "z": ones}),
        "wrong name": lambda: client.predict("line", {"z": ones}),
        "wrong type": lambda: client.predict("line", {"x": ones.astype(np.float64)}),
        "wrong shape": lambda: client.predict("line", {"x": np.ones((1, 3), np.float32)}),
        "no rows": lambda: client.predict("line", {"x": np.ones((0, 4), np.float32)}),
        "unreadable": lambda: client.predict("line", {"x": unreadable}),
        "huge": lambda: client.predict("line", {"x": huge}),
        "bad filter": lambda: client.predict("line", {"x": ones}, outputs=("z",)),
        "double filter": lambda: client.predict("line", {"x": ones}, outputs=("y", "y")),
        "complex": lambda: client.predict("line", {"x": ones.astype(np.complex64)}),
        "too large": lambda: client.predict("line", {"x": np.ones((1_000_000, 4), np.float32)}),
        "late": lambda: client.predict("seven", seven(1, "sleep 20"), timeout=0.5),
        "failing": lambda: client.predict("seven", seven(1, "raise")),
    }
    found: dict[str, Any] = {name: error_of(call) for name, call in cases.items()}
    call = client.prediction.Predict.future(predict_request("seven", seven(1, "sleep 20")), WAIT_S)
    call.cancel()
    found["cancelled"] = error_of(call.result)
    return found


def numbers_of_fields() -> dict[str, Any]:
    """Every message of the real stubs: the numbers, names and types of its fields; and the enums that they use."""
    found: dict[str, Any] = {}
    waiting = [
        message.DESCRIPTOR
        for message in (
            predict_pb2.PredictRequest,
            predict_pb2.PredictResponse,
            classification_pb2.ClassificationRequest,
            classification_pb2.ClassificationResponse,
            regression_pb2.RegressionRequest,
            regression_pb2.RegressionResponse,
            inference_pb2.MultiInferenceRequest,
            inference_pb2.MultiInferenceResponse,
            get_model_metadata_pb2.GetModelMetadataRequest,
            get_model_metadata_pb2.GetModelMetadataResponse,
            get_model_metadata_pb2.SignatureDefMap,
            get_model_status_pb2.GetModelStatusRequest,
            get_model_status_pb2.GetModelStatusResponse,
            model_management_pb2.ReloadConfigRequest,
            model_management_pb2.ReloadConfigResponse,
        )
    ]
    while waiting:
        message = waiting.pop()
        if message.full_name in found:
            continue
        found[message.full_name] = {
            field.name: [field.number, field.type, field.message_type.full_name if field.message_type else ""]
            for field in message.fields
        }
        waiting += [field.message_type for field in message.fields if field.message_type]
        for field in message.fields:
            if field.enum_type:
                found[field.enum_type.full_name] = {each.name: each.number for each in field.enum_type.values}
    return found


def main() -> int:
    client = Client(sys.argv[1])
    document = {
        "predictions": predictions(client),
        "examples": examples(client),
        "saved model": saved_model(client),
        "told": told(client),
        "errors": errors(client),
        "numbers": numbers_of_fields(),
    }
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
