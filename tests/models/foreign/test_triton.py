"""What a config.pbtxt means here, and what becomes of each of its options."""

from __future__ import annotations

from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.foreign.base import Fate
from salver.models.foreign.triton import declared
from salver.models.foreign.tritonconfig import read_text
from salver.types import PolicyKind, VersionPolicy


def meant(text: str) -> Any:
    return declared(read_text(text), "m/config.pbtxt")


def fates(text: str) -> dict[str, Fate]:
    return {remark.option: remark.fate for remark in meant(text).remarks}


def test_batches_replicas_threads_and_times_become_those_of_a_model_toml() -> None:
    manifest = meant("""
        name: "m" platform: "onnxruntime_onnx" max_batch_size: 8 default_model_filename: "net.onnx"
        dynamic_batching {
          max_queue_delay_microseconds: 1500
          default_queue_policy { default_timeout_microseconds: 250000 max_queue_size: 9 }
        }
        instance_group { count: 2 } instance_group { kind: KIND_GPU gpus: [0, 1] count: 3 }
        instance_group { passive: true }
        parameters { key: "intra_op_thread_count" value { string_value: "4" } }
    """).manifest
    assert (manifest.name, manifest.runtime, manifest.artifact) == ("m", "onnx", "net.onnx")
    assert (manifest.replicas, manifest.deadline_s, manifest.environment.threads) == (8, 0.25, 4)
    batching = manifest.batching
    assert (batching.max_batch_rows, batching.max_batch_delay_ms, batching.max_queue_rows) == (8, 1.5, 9)


@pytest.mark.parametrize("said", ['platform: "pytorch_libtorch"', 'backend: "pytorch"'])
def test_pytorch_is_a_runtime_and_its_switches_are_not_needed(said: str) -> None:
    found = meant(said + 'parameters { key: "INFERENCE_MODE" value { string_value: "true" } }')
    assert found.manifest.runtime == "torch"
    assert {remark.option: remark.fate for remark in found.remarks}["parameters INFERENCE_MODE"] is Fate.NEEDLESS


def test_an_empty_config_changes_nothing() -> None:
    empty = meant("")
    assert (empty.manifest.name, empty.manifest.artifact, empty.manifest.replicas) == (None, None, None)
    assert empty.manifest.batching.max_batch_rows is None
    assert (empty.policy, empty.remarks, empty.notes) == (VersionPolicy(), (), ())
    assert empty.checks["has_rows"] is None


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("version_policy { all {} }", VersionPolicy(kind=PolicyKind.ALL)),
        ("version_policy { latest { num_versions: 3 } }", VersionPolicy(count=3)),
        ("version_policy { latest { } }", VersionPolicy(count=1)),
        ("version_policy { specific { versions: [1, 3] } }", VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3))),
    ],
)
def test_a_version_policy_is_ours(text: str, policy: VersionPolicy) -> None:
    assert meant(text).policy == policy
    assert fates(text) == {"version_policy": Fate.MAPPED}


def test_tensors_are_held_against_the_model_without_its_rows() -> None:
    checks = meant("""
        max_batch_size: 4
        input { name: "x" data_type: TYPE_STRING dims: [2, -1] } output { name: "y" label_filename: "l.txt" }
    """).checks
    assert checks == {
        "file": "config.pbtxt",
        "inputs": [{"name": "x", "datatype": "BYTES", "shape": [2, -1]}],
        "outputs": [{"name": "y", "datatype": None, "shape": []}],
        "has_rows": True,
    }
    assert meant("max_batch_size: 0").checks["has_rows"] is False
    assert meant("max_batch_size: 0").manifest.batching.max_batch_rows == 1
    assert meant('output { name: "y" label_filename: "l.txt" }').label_files == {"y": "l.txt"}


def test_every_option_that_is_set_is_told_of() -> None:
    assert fates("""
        name: "m" backend: "onnxruntime" runtime: "x.so" max_batch_size: 2
        input { name: "x" allow_ragged_batch: true optional: true format: FORMAT_NCHW }
        output { name: "y" label_filename: "l.txt" }
        dynamic_batching {
          preferred_batch_size: 4 preserve_ordering: true priority_levels: 2 default_priority_level: 1
          priority_queue_policy { key: 1 value {} }
          default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5 allow_timeout_override: true }
        }
        instance_group { kind: KIND_GPU rate_limiter { priority: 1 } profile: "p" }
        cc_model_filenames { key: "8" value: "m8" } metric_tags { key: "a" value: "b" }
        optimization { eager_batching: true }
        parameters { key: "intra_op_thread_count" value { string_value: "0" } } parameters { key: "other" }
        model_warmup { name: "zeros" inputs { key: "x" value { zero_data: true } } }
        model_warmup { name: "file" inputs { key: "x" value { input_data_file: "f" } } }
        model_transaction_policy { decoupled: false } model_repository_agents {} response_cache { enable: true }
        model_metrics {}
    """) == {
        "name": Fate.MAPPED,
        "backend": Fate.MAPPED,
        "runtime": Fate.NEEDLESS,
        "max_batch_size": Fate.MAPPED,
        "input": Fate.MAPPED,
        "input x: allow_ragged_batch": Fate.NEEDLESS,
        "input x: optional": Fate.UNSUPPORTED,
        "input x: format": Fate.NEEDLESS,
        "output": Fate.MAPPED,
        "output y: label_filename": Fate.MAPPED,
        "dynamic_batching": Fate.MAPPED,
        "dynamic_batching: preferred_batch_size": Fate.NEEDLESS,
        "dynamic_batching: preserve_ordering": Fate.UNSUPPORTED,
        "dynamic_batching: priority_levels": Fate.UNSUPPORTED,
        "dynamic_batching: default_priority_level": Fate.UNSUPPORTED,
        "dynamic_batching: priority_queue_policy": Fate.UNSUPPORTED,
        "dynamic_batching: default_queue_policy.default_timeout_microseconds": Fate.UNSUPPORTED,
        "dynamic_batching: default_queue_policy.allow_timeout_override": Fate.NEEDLESS,
        "instance_group": Fate.MAPPED,
        "instance_group: gpus": Fate.UNSUPPORTED,
        "instance_group: rate_limiter": Fate.UNSUPPORTED,
        "instance_group: profile": Fate.UNSUPPORTED,
        "cc_model_filenames": Fate.NEEDLESS,
        "metric_tags": Fate.NEEDLESS,
        "optimization": Fate.NEEDLESS,
        "parameters intra_op_thread_count": Fate.MAPPED,
        "parameters other": Fate.UNSUPPORTED,
        "model_warmup zeros": Fate.MAPPED,
        "model_warmup file": Fate.UNSUPPORTED,
        "model_transaction_policy": Fate.MAPPED,
        "model_repository_agents": Fate.UNSUPPORTED,
        "response_cache": Fate.UNSUPPORTED,
        "model_metrics": Fate.NEEDLESS,
    }


def test_answers_in_parts_are_the_models_own_affair() -> None:
    said = {remark.option: remark for remark in meant("model_transaction_policy { decoupled: true }").remarks}
    told = said["model_transaction_policy"]
    assert (told.fate, told.text) == (Fate.MAPPED, "answers come in parts where the model gives them")


def test_batching_without_more_words_is_our_own() -> None:
    assert fates("dynamic_batching {}") == {"dynamic_batching": Fate.MAPPED}


def test_what_does_not_hold_is_told_at_the_start() -> None:
    assert meant("response_cache { enable: true } name: 'm'").notes == (
        "Triton's `response_cache` does not hold here: answers are not cached",
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'platform: "tensorflow_graphdef"',
            "m/config.pbtxt asks for a TensorFlow graph without signatures (`platform`)",
        ),
        ('backend: "python"', "m/config.pbtxt asks for Triton's Python backend (`backend`)"),
        ('platform: "torch_aoti"', "m/config.pbtxt asks for PyTorch's compiler (`platform`)"),
        ('backend: "mine"', "m/config.pbtxt asks for the backend mine (`backend`)"),
        ('platform: "ensemble"', "m/config.pbtxt asks for a pipeline of several models"),
        ("ensemble_scheduling {}", "a pipeline of several models (`ensemble_scheduling`)"),
        ("sequence_batching {}", "sequences that keep state between requests (`sequence_batching`)"),
        ('input { name: "x" reshape { shape: [1] } }', "the tensor 'x' in another shape than the model has"),
        ('input { name: "x" is_shape_tensor: true }', "a tensor of TensorRT's own kind (input x)"),
    ],
)
def test_what_would_answer_wrongly_is_not_served(text: str, said: str) -> None:
    with pytest.raises(LoadError) as refused:
        meant(text)
    assert said in refused.value.message
    assert refused.value.message.endswith(", which is not part of this release")
    assert refused.value.code is Code.FORMAT_UNKNOWN


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("max_batch_size: -1", "m/config.pbtxt: max_batch_size must be 0 or more"),
        ("version_policy { specific {} }", "m/config.pbtxt: version_policy: specific names no version, or one below 1"),
        ("version_policy { specific { versions: 0 } }", "specific names no version, or one below 1"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, said: str) -> None:
    with pytest.raises(LoadError) as refused:
        meant(text)
    assert said in refused.value.message
    assert refused.value.code is Code.MANIFEST_INVALID


@pytest.mark.parametrize(
    ("text", "runtime"),
    [
        ("", "onnx"),
        ('backend: "onnxruntime"', "onnx"),
        ('platform: "tensorflow_savedmodel"', "tensorflow"),
        ('backend: "tensorflow" platform: "tensorflow_savedmodel"', "tensorflow"),
    ],
)
def test_backend_or_platform_say_the_runtime(text: str, runtime: str) -> None:
    assert meant(text).manifest.runtime == runtime
