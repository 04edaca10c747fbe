"""`GetModelMetadata` and `ModelService/GetModelStatus`: what is told of a model. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.json_format import ParseDict

from salver.errors import Code, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer
from salver.types import ModelStatus, Signature, TensorSpec, VersionStatus
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import error_pb2
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.rpc.dtypes import BY_DATATYPE
from salver.wire.tfserving.rpc.failures import failure
from salver.wire.tfserving.rpc.messages import address_of, read
from salver.wire.tfserving.status import BROKEN, STATES, meant_version, status_text, told_signatures

SIGNATURES = "signature_def"
PREDICT = "tensorflow/serving/predict"
SIDES = ("inputs", "outputs")
REFERENCE, REFERENCES_FROM = "_REF", 100


def open_metadata(body: bytes) -> Address:
    """Raises RequestError(INVALID_INPUT)."""
    message = read(tfs.GetModelMetadataRequest, body)
    address = address_of(message.model_spec, Verb.METADATA, is_there=message.HasField("model_spec"))
    if not message.metadata_field:
        raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
    for field in message.metadata_field:
        if field != SIGNATURES:
            raise invalid(f"Metadata field {field} is not supported")
    return address


def open_status(body: bytes) -> Address:
    """Raises RequestError(INVALID_INPUT)."""
    message = read(tfs.GetModelStatusRequest, body)
    return address_of(message.model_spec, Verb.STATUS, is_there=message.HasField("model_spec"))


def read_model(address: Address) -> models.GetModel:
    """A status is that of all versions, whatever label is named; only metadata looks the label up."""
    return models.GetModel(address.model, address.version, address.label if address.verb is Verb.METADATA else None)


def write_metadata(model: ModelStatus, address: Address) -> bytes:
    """Raises RequestError(MODEL_NOT_READY) before the version that is meant has told its signatures."""
    info = meant_version(model)
    if info is None:
        raise RequestError(Code.MODEL_NOT_FOUND, f"There is no model named {address.model!r}.")
    signatures = tfs.SignatureDefMap()
    for name, told in told_signatures(info).items():
        found = signatures.signature_def[name]
        if told is None:
            found.CopyFrom(_signature_def(info.signatures[name]))
        else:
            ParseDict(_numbered(told), found, ignore_unknown_fields=True)
    answer = tfs.GetModelMetadataResponse(model_spec=tfs.ModelSpec(name=info.id.model))
    answer.model_spec.version.value = info.id.version
    answer.metadata[SIGNATURES].Pack(signatures)
    return answer.SerializeToString()


def write_status(model: ModelStatus, address: Address) -> bytes:
    """Raises RequestError(MODEL_NOT_FOUND) where a model has no version."""
    if not model.versions:
        raise RequestError(Code.MODEL_NOT_FOUND, f"There is no model named {address.model!r}.")
    statuses = [_version_status(version) for version in model.versions]
    return tfs.GetModelStatusResponse(model_version_status=statuses).SerializeToString()


def model_failure(error: SalverError, address: Address) -> Answer:
    return failure(error, address)


def _version_status(version: VersionStatus) -> tfs.ModelVersionStatus:
    code = error_pb2.UNKNOWN if version.state in BROKEN else error_pb2.OK
    return tfs.ModelVersionStatus(
        version=version.id.version,
        state=STATES[version.state],
        status=tfs.StatusProto(error_code=code, error_message=status_text(version)),
    )


def _numbered(told: Mapping[str, Any]) -> dict[str, Any]:
    """Datatypes as numbers: those of variables themselves, as in old graphs, have names that the messages lack."""
    sides = {side: {name: _with_number(info) for name, info in told.get(side, {}).items()} for side in SIDES}
    return {**told, **sides}


def _with_number(info: Mapping[str, Any]) -> dict[str, Any]:
    name = info.get("dtype", "")
    if not name.endswith(REFERENCE):
        return dict(info)
    return {**info, "dtype": tf.DataType.Value(name.removesuffix(REFERENCE)) + REFERENCES_FROM}


def _signature_def(signature: Signature) -> tf.SignatureDef:
    found = tf.SignatureDef(method_name=PREDICT)
    for spec in signature.inputs:
        found.inputs[spec.name].CopyFrom(_tensor_info(spec))
    for spec in signature.outputs:
        found.outputs[spec.name].CopyFrom(_tensor_info(spec))
    return found


def _tensor_info(spec: TensorSpec) -> tf.TensorInfo:
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in spec.shape])
    return tf.TensorInfo(name=f"{spec.name}:0", dtype=BY_DATATYPE[spec.datatype].name, tensor_shape=shape)
