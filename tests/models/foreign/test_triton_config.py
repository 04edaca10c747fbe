"""Triton's ModelConfig as plain values."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, text_format

from salver.models.foreign.tritonconfig import read_document, read_text
from salver.models.foreign.tritonfields import ENUMS, FIELDS
from salver.models.textproto import TextProtoError

FULL = """
name: "dense" backend: "onnxruntime" max_batch_size: 16
version_policy { specific { versions: [1, 3] } }
input { name: "x" data_type: TYPE_FP32 dims: [4] optional: true }
output { name: "y" data_type: 11 dims: -1 label_filename: "labels.txt" }
dynamic_batching {
  preferred_batch_size: [4, 8] max_queue_delay_microseconds: 100
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5000 max_queue_size: 7 }
  priority_queue_policy { key: 2 value { max_queue_size: 1 } }
}
instance_group [ { count: 2 kind: KIND_CPU }, { kind: KIND_GPU gpus: [0, 1] passive: true } ]
parameters { key: "a" value: { string_value: "b" } } parameters { key: "none" }
optimization {
  execution_accelerators { gpu_execution_accelerator { name: "tensorrt" parameters { key: "k" value: "v" } } }
}
model_warmup { name: "w" batch_size: 1 inputs { key: "x" value { data_type: TYPE_FP32 dims: 4 zero_data: true } } }
model_metrics { metric_control { metric_identifier { family: "f" } histogram_options { buckets: [0.5, 2] } } }
"""
SEQUENCE = """
sequence_batching {
  direct { minimum_slot_utilization: 0.5 }
  control_input { name: "S" control { bool_false_true: [false, true] } }
}
"""


@pytest.fixture(scope="module")
def descriptors() -> Any:
    """The message classes that Triton's own client brings; its package needs more than they do."""
    client = importlib.util.find_spec("tritonclient")
    assert client is not None
    assert client.submodule_search_locations is not None
    path = Path(client.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("triton_model_config", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_fields_are_those_of_tritons_client(descriptors: Any) -> None:
    seen: set[str] = set()

    def compare(ours: str, theirs: Any) -> None:
        if ours in seen:
            return
        seen.add(ours)
        assert set(FIELDS[ours]) >= {field.name for field in theirs.fields}, ours
        for field in theirs.fields:
            kind = FIELDS[ours][field.name]
            entry = field.message_type if field.message_type is not None and kind.is_map else None
            value = field if entry is None else entry.fields_by_name["value"]
            if value.message_type is not None:
                compare(kind.name, value.message_type)
            elif value.enum_type is not None:
                assert {each.name: each.number for each in value.enum_type.values} == ENUMS[kind.name]

    compare("ModelConfig", descriptors.ModelConfig.DESCRIPTOR)
    assert seen == set(FIELDS)


def test_text_is_read_as_protobuf_reads_it(descriptors: Any) -> None:
    for text in (FULL, SEQUENCE):
        theirs = text_format.Parse(text, descriptors.ModelConfig())
        again = json_format.MessageToDict(theirs, preserving_proto_field_name=True)
        assert read_document(again) == read_document(json.loads(json.dumps(read_text(text))))
    ours = read_text(FULL)
    assert ours["version_policy"] == {"specific": {"versions": [1, 3]}}
    assert ours["output"][0]["data_type"] == "TYPE_FP32"
    assert ours["dynamic_batching"]["priority_queue_policy"] == {"2": {"max_queue_size": 1}}
    assert ours["parameters"] == {"a": {"string_value": "b"}, "none": {}}


def test_tritons_examples_are_the_same_from_text_and_from_json(data: Path) -> None:
    for path in (data / "triton").glob("*/config.pbtxt"):
        config = read_text(path.read_text())
        assert config["name"] == path.parent.name
        assert read_document(json.loads(json.dumps(config))) == config


def test_a_load_requests_override_may_write_numbers_as_text_and_names_in_camels() -> None:
    assert read_document({"maxBatchSize": "16", "name": None, "output": [{"dims": ["-1", 4.0], "data_type": 3}]}) == {
        "max_batch_size": 16,
        "output": [{"dims": [-1, 4], "data_type": "TYPE_UINT16"}],
    }


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "ModelConfig must be an object"),
        ({"nam": 1}, "ModelConfig has no field nam"),
        ({"name": 1}, "ModelConfig.name must be a string"),
        (
            {"max_batch_size": 1.5},
            "ModelConfig.max_batch_size must be a whole number between -2147483648 and 2147483647",
        ),
        ({"max_batch_size": True}, "ModelConfig.max_batch_size must be a whole number"),
        ({"input": {}}, "ModelConfig.input must be an array"),
        ({"input": [{"optional": "yes"}]}, r"ModelConfig.input\[0\].optional must be a bool"),
        (
            {"input": [{"data_type": "FP32"}]},
            r"ModelConfig.input\[0\].data_type must be one of TYPE_INVALID, TYPE_BOOL",
        ),
        ({"metric_tags": []}, "ModelConfig.metric_tags must be an object"),
        ({"model_metrics": {"metric_control": [{"histogram_options": {"buckets": ["1"]}}]}}, "must be a number"),
        ({"version_policy": {"all": {}, "latest": {}}}, "ModelConfig.version_policy: latest cannot stand beside all"),
    ],
)
def test_an_override_that_is_none_is_refused_at_its_field(document: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_document(document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nam: 'x'", "line 1, column 1: ModelConfig has no field nam"),
        ("input {\n  dim: 4 }", "line 2, column 3: ModelInput has no field dim"),
        ("version_policy { all {} latest {} }", "line 1, column 25: latest cannot stand beside all"),
        ("version_policy { all {} all {} }", "line 1, column 25: all stands twice"),
        ("max_batch_size: 4294967296", "max_batch_size must be between -2147483648 and 2147483647"),
        ("name: 'a' name: 'b'", "line 1, column 11: name stands twice"),
    ],
)
def test_a_text_that_is_none_is_refused_at_its_place(text: str, said: str) -> None:
    with pytest.raises(TextProtoError, match=said):
        read_text(text)
