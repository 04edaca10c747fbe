"""A model's configuration: what its config.pbtxt says, completed by what is known of the model."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from msgspec.structs import replace

from salver.models.foreign.tritonconfig import read_text
from salver.types import ModelStatus, ModelVersion, VersionInfo, VersionState, VersionStatus
from salver.wire.openinference.grpc import SERVICE, OpenInferenceGrpcWire
from salver.wire.openinference.modelconfig import model_config
from salver.wire.openinference.pb import inference_pb2 as pb

TEXT = """
name: "another" backend: "onnxruntime" max_batch_size: 4
version_policy { all {} }
input { name: "x" format: FORMAT_NONE optional: true }
output { name: "y" data_type: TYPE_INT8 dims: [2] label_filename: "labels.txt" }
instance_group [ { count: 2 kind: KIND_CPU }, { name: "own" } ]
dynamic_batching { preferred_batch_size: [2, 4] priority_queue_policy { key: 1 value { max_queue_size: 3 } } }
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value { string_value: "2" } }
model_warmup { name: "w" batch_size: 1 inputs { key: "x" value { data_type: TYPE_INT8 dims: 2 zero_data: true } } }
"""


@pytest.fixture
def info(version_info) -> VersionInfo:
    made: VersionInfo = version_info([("x", "INT8", (-1, 2)), ("z", "BYTES", (-1, 1))], [("y", "INT8", (-1, 2))])
    return replace(made, runtime="onnx")


def model(info: VersionInfo, replicas: int = 3) -> ModelStatus:
    status = VersionStatus(
        id=ModelVersion("m", 1),
        state=VersionState.READY,
        runtime="onnx",
        source="folder",
        environment="server",
        replicas_wanted=replicas,
        info=info,
    )
    return ModelStatus(name="m", versions=(status,), default_version=1)


def test_what_the_file_says_is_told_and_the_rest_completed(info: VersionInfo) -> None:
    told = model_config(model(replace(info, config=read_text(TEXT))), None)
    assert (told["name"], told["platform"], told["backend"]) == ("m", "onnxruntime_onnx", "onnxruntime")
    assert (told["max_batch_size"], told["default_model_filename"]) == (4, "model.onnx")
    assert told["input"] == [
        {"name": "x", "data_type": "TYPE_INT8", "dims": (2,), "format": "FORMAT_NONE", "optional": True},
        {"name": "z", "data_type": "TYPE_STRING", "dims": (1,)},
    ]
    assert told["output"][0]["label_filename"] == "labels.txt"
    assert told["instance_group"] == [
        {"name": "m_0", "count": 2, "kind": "KIND_CPU"},
        {"name": "own", "count": 1, "kind": "KIND_AUTO"},
    ]
    assert told["optimization"] == {"graph": {"level": 1}}


def test_what_was_changed_since_is_told_as_it_is(info: VersionInfo) -> None:
    told = model_config(model(replace(info, config=read_text(TEXT)), replicas=5), None)
    assert told["version_policy"] == {"latest": {"num_versions": 1}}
    assert told["instance_group"] == [{"name": "m", "kind": "KIND_AUTO", "count": 5}]


def test_a_file_of_another_runtime_names_no_file_of_its_own(info: VersionInfo) -> None:
    told = model_config(model(replace(info, runtime="python", config=read_text('default_model_filename: ""'))), None)
    assert (told["backend"], told["default_model_filename"]) == ("python", "")
    assert "default_model_filename" not in model_config(model(replace(info, runtime="python", config={"name": "m"})), 1)


def test_grpc_tells_the_same_in_the_originals_messages(info: VersionInfo) -> None:
    original = pytest.importorskip("tritonclient.grpc.service_pb2")
    status = model(replace(info, config=read_text(TEXT)))
    methods: dict[str, Any] = {method.path: method for method in OpenInferenceGrpcWire().methods}
    raw = methods[SERVICE + "ModelConfig"].write(status, pb.ModelConfigRequest(name="m"))
    theirs = original.ModelConfigResponse.FromString(raw)
    ours = pb.ModelConfigResponse.FromString(raw)
    document = MessageToDict(theirs, preserving_proto_field_name=True)
    assert document == MessageToDict(ours, preserving_proto_field_name=True)
    assert document["config"].keys() >= read_text(TEXT).keys()
    assert document["config"]["dynamic_batching"]["priority_queue_policy"] == {"1": {"max_queue_size": 3}}


def test_a_model_that_gives_parts_is_decoupled(info: VersionInfo) -> None:
    told = model_config(model(replace(info, gives_parts=True)), None)
    assert told["model_transaction_policy"] == {"decoupled": True}
    assert "model_transaction_policy" not in model_config(model(info), None)
    message = ParseDict({"config": told}, pb.ModelConfigResponse())
    assert message.config.model_transaction_policy.decoupled
