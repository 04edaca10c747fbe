"""Every kind of bad input, in the form of each protocol: one table of cells, kinds down and protocols across.

A cell is a call: an address and a body, or a method and a message. A kind that a protocol cannot express has a sentence
that says so in its place. `bad_input_heard` has what callers hear.
"""

from __future__ import annotations

from typing import Any

from salver.wire.openinference.pb import inference_pb2 as v2
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.torchserve.pb import inference_pb2 as ts

LIMIT_MB = 1
DEEP = "[" * 500 + "1" + "]" * 500
LARGE = b" " * ((LIMIT_MB << 20) + 1)
KINDS = (
    "no body", "no JSON", "deep JSON", "NaN", "oversize", "wrong dtype", "wrong shape", "ragged", "missing input",
    "unknown input", "unknown model", "unknown version", "unknown label", "unknown signature", "unknown output",
    "broken base64",
)  # fmt: skip


SUMS = """
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": "total", "datatype": "FP32", "shape": [-1]}],
}

def predict(x: np.ndarray) -> np.ndarray:
    return x.sum(axis=1)
"""
TEXTS = """
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "t", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "size", "datatype": "INT64", "shape": [-1]}],
}

def predict(t: np.ndarray) -> np.ndarray:
    return np.array([len(each) for each in t])
"""
UNSAID = {
    "names": "the protocol has no such names",
    "base64": "the protocol has no base64",
    "json": "the protocol has no JSON",
    "lists": "a tensor of the protocol is flat, and has a shape: it cannot be ragged",
    "nan": "NaN is a number here, and the model's to judge",
    "outputs": "the protocol asks for no outputs",
}


def cells(target: str, rows: Any, **special: Any) -> dict[str, Any]:
    """The kinds that JSON protocols share; `rows` writes a text in the place of the rows."""
    return {
        "no body": (target, b""),
        "no JSON": (target, b'{"a'),
        "deep JSON": (target, rows(DEEP)),
        "NaN": (target, rows("[[NaN, 1, 2, 3]]")),
        "oversize": (target, LARGE),
        "wrong dtype": (target, rows('[["a", "b", "c", "d"]]')),
        "wrong shape": (target, rows("[[1, 2, 3]]")),
        "ragged": (target, rows("[[1, 2, 3, 4], [1, 2]]")),
    } | special


def instances(rows: str) -> bytes:
    return f'{{"instances": {rows}}}'.encode()


def inputs(rows: str) -> bytes:
    return f'{{"inputs": {{"x": {rows}}}}}'.encode()


def tensors(rows: str, *, shape: str = "[1, 4]", more: str = "", name: str = "x", kind: str = "FP32") -> bytes:
    tensor = f'{{"name": "{name}", "datatype": "{kind}", "shape": {shape}, "data": {rows}}}'
    return f'{{"inputs": [{tensor}]{more}}}'.encode()


GOOD = "[[1, 2, 3, 4]]"
TFS_REST = cells(
    "/v1/models/sums:predict",
    instances,
    **{
        "missing input": ("/v1/models/sums:predict", b'{"inputs": {}}'),
        "unknown input": ("/v1/models/sums:predict", b'{"instances": [{"y": [1, 2, 3, 4]}]}'),
        "unknown model": ("/v1/models/nobody:predict", instances(GOOD)),
        "unknown version": ("/v1/models/sums/versions/9:predict", instances(GOOD)),
        "unknown label": ("/v1/models/sums/labels/none:predict", instances(GOOD)),
        "unknown signature": ("/v1/models/sums:predict", b'{"signature_name": "none", "instances": [[1, 2, 3, 4]]}'),
        "unknown output": UNSAID["outputs"],
        "broken base64": ("/v1/models/texts:predict", instances('[{"b64": "a*"}]')),
    },
)
V2_REST = cells(
    "/v2/models/sums/infer",
    tensors,
    **{
        "missing input": ("/v2/models/sums/infer", b'{"inputs": []}'),
        "unknown input": ("/v2/models/sums/infer", tensors(GOOD, name="y")),
        "unknown model": ("/v2/models/nobody/infer", tensors(GOOD)),
        "unknown version": ("/v2/models/sums/versions/9/infer", tensors(GOOD)),
        "unknown label": UNSAID["names"],
        "unknown signature": UNSAID["names"],
        "unknown output": ("/v2/models/sums/infer", tensors(GOOD, more=', "outputs": [{"name": "none"}]')),
        "broken base64": (
            "/v2/models/texts/infer",
            tensors('["a*"], "parameters": {"content_type": "base64"}', shape="[1]", name="t", kind="BYTES"),
        ),
    },
)
MLSERVER_REST = V2_REST | {
    "missing input": ("/v2/models/sums/infer", b"{}"),
    "unknown input": "an only input may have any name",
}
MMS_HTTP = cells(
    "/predictions/sums",
    inputs,
    **{
        "missing input": ("/predictions/sums", b'{"inputs": {}}'),
        "unknown input": ("/predictions/sums", b'{"inputs": {"y": [[1, 2, 3, 4]]}}'),
        "unknown model": ("/predictions/nobody", inputs(GOOD)),
        "unknown version": UNSAID["names"],
        "unknown label": UNSAID["names"],
        "unknown signature": UNSAID["names"],
        "unknown output": UNSAID["outputs"],
        "broken base64": ("/predictions/texts", b'{"inputs": {"t": [{"b64": "a*"}]}}'),
    },
)
TORCHSERVE_HTTP = MMS_HTTP | {"unknown version": ("/predictions/sums/9.0", inputs(GOOD))}
NATIVE_HTTP = cells(
    "/api/v1/models/sums/predict",
    inputs,
    **{
        "missing input": ("/api/v1/models/sums/predict", b'{"inputs": {}}'),
        "unknown input": ("/api/v1/models/sums/predict", b'{"inputs": {"y": [[1, 2, 3, 4]]}}'),
        "unknown model": ("/api/v1/models/nobody/predict", inputs(GOOD)),
        "unknown version": ("/api/v1/models/sums/versions/9/predict", inputs(GOOD)),
        "unknown label": ("/api/v1/models/sums/labels/none/predict", inputs(GOOD)),
        "unknown signature": UNSAID["names"],
        "unknown output": UNSAID["outputs"],
        "broken base64": ("/api/v1/models/texts/predict", b'{"inputs": {"t": [{"b64": "a*"}]}}'),
    },
)


def tfs_request(values: Any = (1, 2, 3, 4), shape: Any = (1, 4), name: str = "x", **spec: Any) -> Any:
    proto = tf.TensorProto(dtype=1, float_val=values)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    request = tfs.PredictRequest()
    request.model_spec.name = spec.pop("model", "sums")
    if "version" in spec:
        request.model_spec.version.value = spec.pop("version")
    for key, value in spec.items():
        setattr(request.model_spec, key, value)
    request.inputs[name].CopyFrom(proto)
    return request


def filtered(request: Any, *names: str) -> Any:
    request.output_filter.extend(names)
    return request


def without_inputs(request: Any) -> Any:
    request.ClearField("inputs")
    return request


def double(request: Any) -> Any:
    request.inputs["x"].dtype = 2
    request.inputs["x"].double_val.extend(request.inputs["x"].float_val)
    request.inputs["x"].ClearField("float_val")
    return request


PREDICT = "/tensorflow.serving.PredictionService/Predict"
TFS_GRPC = {
    "no body": (PREDICT, b""),
    "no JSON": (PREDICT, b"\xff\xff"),
    "deep JSON": UNSAID["json"],
    "NaN": UNSAID["nan"],
    "oversize": (PREDICT, tfs_request(name="x" * len(LARGE))),
    "wrong dtype": (PREDICT, double(tfs_request())),
    "wrong shape": (PREDICT, tfs_request((1, 2, 3), (1, 3))),
    "ragged": (PREDICT, tfs_request((1, 2, 3, 4, 5))),
    "missing input": (PREDICT, without_inputs(tfs_request())),
    "unknown input": (PREDICT, tfs_request(name="y")),
    "unknown model": (PREDICT, tfs_request(model="nobody")),
    "unknown version": (PREDICT, tfs_request(version=9)),
    "unknown label": (PREDICT, tfs_request(version_label="none")),
    "unknown signature": (PREDICT, tfs_request(signature_name="none")),
    "unknown output": (PREDICT, filtered(tfs_request(), "none")),
    "broken base64": UNSAID["base64"],
}


def v2_request(
    values: Any = (1, 2, 3, 4),
    shape: Any = (1, 4),
    name: str = "x",
    kind: str = "FP32",
    model: str = "sums",
    **more: Any,
) -> Any:
    request = v2.ModelInferRequest(model_name=model, **more)
    contents = {"fp32_contents": values} if kind == "FP32" else {"bytes_contents": values}
    request.inputs.add(name=name, shape=shape, datatype=kind, contents=contents)
    return request


INFER = "/inference.GRPCInferenceService/ModelInfer"
V2_GRPC = {
    "no body": (INFER, b""),
    "no JSON": (INFER, b"\xff\xff"),
    "deep JSON": UNSAID["json"],
    "NaN": UNSAID["nan"],
    "oversize": (INFER, v2_request(name="x" * len(LARGE))),
    "wrong dtype": (INFER, v2_request([b"a"] * 4, kind="BYTES")),
    "wrong shape": (INFER, v2_request((1, 2, 3), (1, 3))),
    "ragged": (INFER, v2_request((1, 2, 3, 4, 5))),
    "missing input": (INFER, v2.ModelInferRequest(model_name="sums")),
    "unknown input": (INFER, v2_request(name="y")),
    "unknown model": (INFER, v2_request(model="nobody")),
    "unknown version": (INFER, v2_request(model_version="9")),
    "unknown label": UNSAID["names"],
    "unknown signature": UNSAID["names"],
    "unknown output": (INFER, v2_request(outputs=[v2.ModelInferRequest.InferRequestedOutputTensor(name="none")])),
    "broken base64": UNSAID["base64"],
}
MLSERVER_GRPC = V2_GRPC | {"unknown input": "an only input may have any name"}


def ts_request(rows: str, *, model: str = "sums", name: str = "x", **more: Any) -> Any:
    return ts.PredictionsRequest(model_name=model, input={name: rows.encode()}, **more)


PREDICTIONS = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
TORCHSERVE_GRPC = {
    "no body": (PREDICTIONS, b""),
    "no JSON": (PREDICTIONS, b"\xff\xff"),
    "deep JSON": (PREDICTIONS, ts_request(DEEP)),
    "NaN": (PREDICTIONS, ts_request("[[NaN, 1, 2, 3]]")),
    "oversize": (PREDICTIONS, ts_request(LARGE.decode())),
    "wrong dtype": (PREDICTIONS, ts_request('[["a", "b", "c", "d"]]')),
    "wrong shape": (PREDICTIONS, ts_request("[[1, 2, 3]]")),
    "ragged": (PREDICTIONS, ts_request("[[1, 2, 3, 4], [1, 2]]")),
    "missing input": (PREDICTIONS, ts.PredictionsRequest(model_name="sums")),
    "unknown input": "a lone part is the only input, whatever its name",
    "unknown model": (PREDICTIONS, ts_request(GOOD, model="nobody")),
    "unknown version": (PREDICTIONS, ts_request(GOOD, model_version="9.0")),
    "unknown label": UNSAID["names"],
    "unknown signature": UNSAID["names"],
    "unknown output": UNSAID["outputs"],
    "broken base64": (PREDICTIONS, ts_request('[{"b64": "a*"}]', model="texts", name="t")),
}
HTTP = {
    "native": NATIVE_HTTP,
    "tfserving": TFS_REST,
    "openinference": V2_REST,
    "mlserver": MLSERVER_REST,
    "mms": MMS_HTTP,
    "torchserve": TORCHSERVE_HTTP,
}
GRPC = {
    "tfserving-grpc": TFS_GRPC,
    "openinference-grpc": V2_GRPC,
    "mlserver-grpc": MLSERVER_GRPC,
    "torchserve-grpc": TORCHSERVE_GRPC,
}
