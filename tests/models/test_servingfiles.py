"""TensorFlow Serving's files are read as the original reads them; what is wrong in one is told with its line."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError
from salver.models.configured import ConfiguredModel
from salver.models.servingfiles import MONITORING_PATH, Batching, read_batching, read_models, read_monitoring
from salver.types import PolicyKind, VersionPolicy

M1 = 'name: "m1" base_path: "/models/m1" model_platform: "tensorflow"'


def models(*configs: str) -> tuple[ConfiguredModel, ...]:
    text = "\n".join(f"config {{ {config} }}" for config in configs)
    return read_models(f"model_config_list {{\n{text}\n}}", "models.config")


def policy(text: str) -> VersionPolicy:
    (model,) = models(f"{M1} model_version_policy {{ {text} }}")
    return model.policy


def refusal(text: str) -> str:
    with pytest.raises(LoadError) as raised:
        read_models(text, "models.config")
    assert raised.value.code is Code.SETTINGS_INVALID
    return raised.value.message


# Models


def test_the_file_of_the_originals_page_is_read() -> None:
    text = """
    # everything that the format allows
    model_config_list: {
      config: { name: 'm1', base_path: "/models/m1", model_platform: "tensorflow"
        model_version_policy { specific { versions: 43 versions: 42, versions: 42 } }
        version_labels { key: "stable" value: 42 }
        version_labels { key: "canary" value: 43 }
        logging_config { }
      }
      config { name: "m2" base_path: "/models/m2" model_type: OTHER }
    }
    """
    assert read_models(text, "models.config") == (
        ConfiguredModel(
            name="m1",
            base_path="/models/m1",
            policy=VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(42, 43), highest_answers=True),
            labels={"stable": 42, "canary": 43},
        ),
        ConfiguredModel(name="m2", base_path="/models/m2", platform="other"),
    )


@pytest.mark.parametrize("text", ["", "model_config_list { }", "model_config_list: {}"])
def test_a_file_without_models_is_an_empty_list(text: str) -> None:
    assert read_models(text, "models.config") == ()


def test_the_latest_version_is_served_unless_a_policy_says_otherwise() -> None:
    (model,) = models(M1)
    assert model.policy == policy("") == policy("latest { }") == VersionPolicy(count=1, highest_answers=True)
    assert policy("latest { num_versions: 0 }").count == 1
    assert policy("latest { num_versions: 3 }").count == 3
    assert policy("all { }").kind is PolicyKind.ALL


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model_config_list {", "line 1"),
        ("custom_model_config { }", "line 1, column 1: custom_model_config is not supported"),
        ("models { }", "there is no field 'models' here"),
        ("model_config_list { model { } }", "there is no field 'model' here"),
        (f"model_config_list {{ config {{ {M1}\n speed: 3 }} }}", "line 2, column 2: there is no field 'speed' here"),
        (
            "model_config_list { config { name: 'm' base_path: '/m' } }",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform",
        ),
        (
            f"model_config_list {{ config {{ {M1} model_type: TENSORFLOW }} }}",
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform: m1",
        ),
        (
            f"model_config_list {{ config {{ {M1} model_version_policy {{ all {{}} latest {{}} }} }} }}",
            "the policy is latest already",
        ),
        (f"model_config_list {{ config {{ {M1} model_version_policy {{ first {{}} }} }} }}", "no field 'first' here"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_told_with_its_place(text: str, words: str) -> None:
    message = refusal(text)
    assert message.startswith("models.config: Error parsing text-format tensorflow.serving.ModelServerConfig: line ")
    assert words in message


# Batches


def test_batching_parameters_become_settings() -> None:
    text = "max_batch_size { value: 128 } batch_timeout_micros { value: 1500 } max_enqueued_batches { value: 4 }"
    batching = read_batching(text, "b")
    assert batching == Batching(max_batch_rows=128, max_batch_delay_ms=1.5, max_queue_rows=512)
    assert batching.section.max_batch_rows == 128
    assert (batching.section.max_batch_delay_ms, batching.section.max_queue_rows) == (1.5, 512)


def test_an_empty_file_has_the_originals_defaults() -> None:
    assert read_batching("", "b") == Batching(max_batch_rows=1000, max_batch_delay_ms=0.0, max_queue_rows=10_000)


def test_a_bound_of_execution_bounds_the_batches() -> None:
    text = (
        "max_batch_size { value: 64 } enable_large_batch_splitting { value: true } "
        "max_execution_batch_size { value: 16 } allowed_batch_sizes: 8 allowed_batch_sizes: 16"
    )
    batching = read_batching(text, "b")
    assert (batching.max_batch_rows, batching.max_queue_rows) == (16, 640)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("num_batch_threads { value: 4 }", "num_batch_threads"),
        ("max_batch_size { value: 32 } allowed_batch_sizes: 16 allowed_batch_sizes: 32", "allowed_batch_sizes"),
        ("pad_variable_length_inputs: true", "pad_variable_length_inputs"),
        ("enable_large_batch_splitting { value: false }", "enable_large_batch_splitting"),
        ("thread_pool_name { value: 'pool' }", "thread_pool_name"),
        ("low_priority_max_batch_size { value: 4 }", "priorities"),
    ],
)
def test_what_is_not_done_is_told(text: str, word: str) -> None:
    (note,) = read_batching(text, "b").notes
    assert note.startswith(f"{word}: ")


def test_what_is_done_needs_no_word() -> None:
    assert read_batching("pad_variable_length_inputs: false max_batch_size { value: 2 }", "b").notes == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size must be 1 or more, not 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be 0 or more, not -1"),
        ("max_batch_size: 3", "max_batch_size"),
        ("max_rows { }", "there is no field 'max_rows' here"),
        (
            "allowed_batch_sizes: 4 allowed_batch_sizes: 2",
            "allowed_batch_sizes entries must be monotonically increasing",
        ),
        ("allowed_batch_sizes: 0", "allowed_batch_sizes entries must be monotonically increasing"),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "final entry in allowed_batch_sizes must equal max_batch_size, which is 8",
        ),
    ],
)
def test_what_is_wrong_in_batching_parameters_is_told(text: str, words: str) -> None:
    with pytest.raises(LoadError) as raised:
        read_batching(text, "batching.config")
    assert raised.value.message.startswith("batching.config: Error parsing text-format tensorflow.serving.Batching")
    assert words in raised.value.message


# Monitoring


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }', MONITORING_PATH),
        ("prometheus_config: { enable: true }", MONITORING_PATH),
        ('prometheus_config { enable: true path: "/numbers" }', "/numbers"),
        ('prometheus_config { enable: false path: "/numbers" }', ""),
        ("prometheus_config { }", ""),
        ("", ""),
    ],
)
def test_the_address_of_metrics_is_as_the_file_says(text: str, path: str) -> None:
    assert read_monitoring(text, "m") == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('prometheus_config { enable: true path: "numbers" }', "line 1, column 34: 'numbers' is no path of an address"),
        ('prometheus_config { enable: true path: "/{x}" }', "'/{x}' is no path of an address"),
        ("prometheus_config { port: 3 }", "there is no field 'port' here"),
        ("statsd { }", "there is no field 'statsd' here"),
    ],
)
def test_what_is_wrong_in_a_monitoring_file_is_told(text: str, words: str) -> None:
    with pytest.raises(LoadError) as raised:
        read_monitoring(text, "monitoring.config")
    assert words in raised.value.message
