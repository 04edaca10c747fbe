"""`GetModelMetadata` and `GetModelStatus`: what is told of a model."""

from __future__ import annotations

import pytest

from salver.errors import Code, RequestError
from salver.operations import models
from salver.operations.methods import GrpcStatus
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus
from salver.wire.tfserving.pb import error_pb2
from salver.wire.tfserving.pb import serving_pb2 as tfs

METADATA = "GetModelMetadata"
STATUS = "GetModelStatus"


def version(number: int, state: VersionState, **fields) -> VersionStatus:
    return VersionStatus(
        id=ModelVersion("m", number), state=state, runtime="", source="", environment="", replicas_wanted=1, **fields
    )


def asked(calls, as_request, name: str, message):
    """Parameters and answer of an ordinary call: what becomes of the message."""
    return calls.ordinary(name).open(as_request(message.SerializeToString()))


def metadata(*fields: str, **spec) -> tfs.GetModelMetadataRequest:
    return tfs.GetModelMetadataRequest(model_spec=tfs.ModelSpec(name="m", **spec), metadata_field=fields)


def test_metadata_is_of_the_version_that_is_named(calls, as_request) -> None:
    address = asked(calls, as_request, METADATA, metadata("signature_def", version_label="L"))
    method = calls.ordinary(METADATA)
    assert method.read(address) == models.GetModel("m", None, "L")
    assert method.model(address) == "m"


def test_metadata_has_each_signature(calls, as_request, version_info) -> None:
    info = version_info([("x", "FP32", (-1, 4))], [("y", "BYTES", (-1,))], version=3)
    model = ModelStatus(name="m", versions=(version(3, VersionState.READY, info=info),), default_version=3)
    address = asked(calls, as_request, METADATA, metadata("signature_def"))
    answer = tfs.GetModelMetadataResponse.FromString(calls.ordinary(METADATA).write(model, address))
    assert (answer.model_spec.name, answer.model_spec.version.value, answer.model_spec.signature_name) == ("m", 3, "")
    found = tfs.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    signature = found.signature_def["serving_default"]
    assert signature.method_name == "tensorflow/serving/predict"
    x, y = signature.inputs["x"], signature.outputs["y"]
    assert (x.name, x.dtype, [dim.size for dim in x.tensor_shape.dim]) == ("x:0", 1, [-1, 4])
    assert (y.name, y.dtype, [dim.size for dim in y.tensor_shape.dim]) == ("y:0", 7, [-1])


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (tfs.GetModelMetadataRequest(), "Missing ModelSpec"),
        (metadata(), "GetModelMetadataRequest must specify at least one metadata_field"),
        (metadata("signature_def", "foo"), "Metadata field foo is not supported"),
    ],
)
def test_what_is_no_question_is_refused(calls, as_request, message, text) -> None:
    with pytest.raises(RequestError, match=text):
        asked(calls, as_request, METADATA, message)


@pytest.mark.parametrize("name", [METADATA, STATUS])
def test_a_model_that_has_not_loaded_is_not_found(calls, as_request, name) -> None:
    message = (
        metadata("signature_def") if name == METADATA else tfs.GetModelStatusRequest(model_spec=metadata().model_spec)
    )
    method = calls.ordinary(name)
    address = asked(calls, as_request, name, message)
    with pytest.raises(RequestError) as raised:
        method.write(ModelStatus(name="m", versions=(), default_version=None), address)
    answer = method.error(raised.value, address)
    text = {METADATA: "Servable not found for request: Latest(m)", STATUS: "Could not find any versions of model m"}
    assert (answer.status, answer.body.decode()) == (GrpcStatus.NOT_FOUND, text[name])


def test_a_status_is_that_of_every_version_whatever_label_is_named(calls, as_request) -> None:
    message = tfs.GetModelStatusRequest(model_spec=metadata(version_label="L").model_spec)
    method = calls.ordinary(STATUS)
    address = asked(calls, as_request, STATUS, message)
    assert method.read(address) == models.GetModel("m", None, None)
    broken = version(2, VersionState.FAILED, reason="It broke.", fix="Mend it.")
    model = ModelStatus(name="m", versions=(broken, version(1, VersionState.READY)), default_version=1)
    answer = tfs.GetModelStatusResponse.FromString(method.write(model, address))
    state = tfs.ModelVersionStatus
    assert [(each.version, each.state, each.status.error_code) for each in answer.model_version_status] == [
        (2, state.END, error_pb2.UNKNOWN),
        (1, state.AVAILABLE, error_pb2.OK),
    ]
    assert answer.model_version_status[0].status.error_message == "It broke. Mend it."


def test_a_version_that_there_is_not_has_words_of_its_own(calls, as_request) -> None:
    message = tfs.GetModelStatusRequest(model_spec=metadata().model_spec)
    message.model_spec.version.value = 7
    method = calls.ordinary(STATUS)
    address = asked(calls, as_request, STATUS, message)
    answer = method.error(RequestError(Code.VERSION_NOT_FOUND, "No."), address)
    assert (answer.status, answer.body) == (GrpcStatus.NOT_FOUND, b"Could not find version 7 of model m")


def test_metadata_is_what_a_saved_model_says_of_itself(calls, as_request, version_info) -> None:
    told = {
        "inputs": {
            "x": {"dtype": "DT_FLOAT_REF", "tensor_shape": {"dim": [{"size": "-1", "name": ""}]}, "name": "v:0"}
        },
        "outputs": {"y": {"dtype": "DT_INVALID", "tensor_shape": {"dim": [], "unknown_rank": True}, "name": "NoOp"}},
        "method_name": "tensorflow/serving/regress",
        "defaults": {},
        "newer": 1,
    }
    defs = {"__init": told, "serving_default": None}
    info = version_info([("x", "FP32", (-1, 4))], [("y", "BYTES", (-1,))], signature_defs=defs)
    model = ModelStatus(name="m", versions=(version(1, VersionState.READY, info=info),), default_version=1)
    address = asked(calls, as_request, METADATA, metadata("signature_def"))
    answer = tfs.GetModelMetadataResponse.FromString(calls.ordinary(METADATA).write(model, address))
    found = tfs.SignatureDefMap()
    answer.metadata["signature_def"].Unpack(found)
    assert sorted(found.signature_def) == ["__init", "serving_default"]
    given, own = found.signature_def["__init"], found.signature_def["serving_default"]
    assert (given.method_name, own.method_name) == ("tensorflow/serving/regress", "tensorflow/serving/predict")
    assert (given.inputs["x"].dtype, given.inputs["x"].name, given.outputs["y"].dtype) == (101, "v:0", 0)
    assert given.outputs["y"].tensor_shape.unknown_rank is True
    assert own.inputs["x"].name == "x:0"
