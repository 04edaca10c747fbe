"""TensorFlow Serving's flags become settings and models, or words about why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from salver.cli.tensorflow_flags import BY_NAME, FLAGS, Fate, table
from salver.cli.tensorflow_start import Start, read_line, start_of
from salver.errors import LoadError, RequestError, StartupError
from salver.models.configured import ConfiguredModel
from salver.settings import SettingsFile, resolve, setting_named

BASE = "--model_base_path=/models/m"
FILES = {
    "batching": "max_batch_size { value: 8 } num_batch_threads { value: 2 }",
    "monitoring": "prometheus_config { enable: true }",
    "models": 'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" } }',
}


def start(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    chosen: Mapping[str, Any] | None = None,
    is_container: bool = False,
) -> Start:
    return start_of(
        read_line(arguments), environment or {}, FILES.__getitem__, is_container=is_container, chosen=chosen or {}
    )


def refusal(*arguments: str, **more: Any) -> str:
    with pytest.raises((StartupError, RequestError, LoadError)) as raised:
        start(*arguments, **more)
    assert raised.value.fix
    return raised.value.message


def test_every_flag_of_the_facts_page_is_known_and_explained() -> None:
    assert len(BY_NAME) == len(FLAGS)
    assert all(flag.meaning and (flag.fix or flag.fate is not Fate.REFUSED) for flag in FLAGS)
    assert table().count("\n") == len(FLAGS) + 1
    assert {flag.fate for flag in FLAGS} == set(Fate)


def test_what_a_flag_sets_is_a_setting_that_takes_it() -> None:
    made = start(
        BASE,
        "--rest_api_port=8501",
        "--rest_api_timeout_in_ms=1500",
        "--file_system_poll_wait_seconds=-1",
        "--rest_api_enable_cors_support",
        "--num_request_iterations_for_warmup=3",
        "--tensorflow_session_parallelism=2",
        "--enable_batching",
        "--batching_parameters_file=batching",
        "--monitoring_config_file=monitoring",
    )
    settings = resolve(SettingsFile(), {}, made.flags).settings
    assert (settings.serving.deadline_s, settings.serving.max_batch_rows) == (1.5, 8)
    assert (settings.models.watch_s, settings.replicas.warm_up_rounds, settings.replicas.threads) == (0, 3, 2)
    assert settings.tfserving.tfs_cors
    assert settings.tfserving.tfs_monitoring_path == "/monitoring/prometheus/metrics"
    assert settings.net.doors == ("tfserving-grpc@127.0.0.1:8500", "tfserving@127.0.0.1:8501")
    assert settings.processes.data_dir == "~/.salver/tensorflow-model-server-8500"
    assert any("num_batch_threads" in note for note in made.notes)


@pytest.mark.parametrize("name", ["watch_s", "deadline_s", "tfs_cors", "warm_up_rounds", "threads", "model_roots"])
def test_the_settings_that_the_table_names_exist(name: str) -> None:
    assert setting_named(name) is not None


@pytest.mark.parametrize("on", ["--enable_batching", "--enable_batching=true", "--enable_batching=1"])
def test_a_switch_alone_is_on(on: str) -> None:
    assert read_line([on, BASE]).is_on("enable_batching")
    assert start(on, BASE).flags["max_batch_rows"] == "1000"


def test_a_switch_takes_a_word_that_follows_only_when_it_is_one() -> None:
    line = read_line(["--enable_batching", "false", "--enable_model_warmup", "--port", "9"])
    assert (line.is_on("enable_batching"), line.is_on("enable_model_warmup"), line.integer("port")) == (False, True, 9)


def test_without_its_flags_the_originals_defaults_hold_and_what_is_chosen_elsewhere_goes_before_them() -> None:
    assert start(BASE).flags["watch_s"] == "1"
    assert "watch_s" not in start(BASE, chosen={"watch_s": "7"}).flags
    assert start(BASE, "--file_system_poll_wait_seconds=3", chosen={"watch_s": "7"}).flags["watch_s"] == "3"
    assert "data_dir" not in start(BASE, chosen={"data_dir": "/d"}).flags
    assert "max_batch_rows" not in start(BASE).flags


def test_settings_of_salver_stand_beside_the_originals_flags() -> None:
    made = start(
        BASE, "--data-dir", "/d", "--insecure", "--no-allow-urls", "--remotes=a=https://b", "--remotes", "c=https://d"
    )
    assert (made.flags["data_dir"], made.flags["insecure"], made.flags["allow_urls"]) == ("/d", True, False)
    assert made.flags["remotes"] == ("a=https://b", "c=https://d")


# Models


def test_one_model_or_a_file_of_many() -> None:
    one = start(BASE, "--model_name=m").given
    assert one.models == (ConfiguredModel(name="m", base_path="/models/m"),)
    many = start("--model_config_file=models", "--model_config_file_poll_wait_seconds=5", BASE).given
    assert (many.models[0].base_path, many.file, many.poll_s) == ("/m", "models", 5.0)


def test_the_containers_variables_count_where_no_flag_does() -> None:
    variables = {"MODEL_NAME": "iris", "MODEL_BASE_PATH": "/srv/"}
    made = start(environment=variables)
    assert made.given.models == (ConfiguredModel(name="iris", base_path="/srv/iris"),)
    assert made.flags["doors"][1] == "tfserving@127.0.0.1:8501"
    assert start(environment={"MODEL_BASE_PATH": "/srv"}).given.models[0].base_path == "/srv/model"
    assert start(environment={"MODEL_NAME": "iris"}).given.models[0].base_path == "/models/iris"
    other = start(BASE, environment=variables)
    assert other.given.models == (ConfiguredModel(name="default", base_path="/models/m"),)
    assert len(other.flags["doors"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["model"], "'model' is no flag"),
        ([BASE, "--port"], "--port needs a value"),
        ([BASE, "--port", "--version"], "--port needs a value"),
        ([BASE, "--port=x"], "--port is a whole number"),
        ([BASE, "--per_process_gpu_memory_fraction=half"], "--per_process_gpu_memory_fraction is a number"),
        ([BASE, "--enable_batching=maybe"], "--enable_batching is true or false"),
        ([BASE, "--zzzzzzzz=1"], "There is no flag --zzzzzzzz"),
        ([BASE, "--rest_api_timeout_in_ms=0"], "--rest_api_timeout_in_ms must be above 0"),
        ([BASE, "--batching_parameters_file=batching"], "without setting server_options.enable_batching to true"),
        ([BASE, "--monitoring_config_file=monitoring"], "--monitoring_config_file needs a REST port"),
        ([BASE, "--port=8501", "--rest_api_port=8501"], "--rest_api_port cannot be same as --port"),
        ([BASE, "--use_alts_credentials"], "--use_alts_credentials is not supported"),
        (["--model_base_path=m"], "Expected model default to have an absolute path or URI"),
    ],
)
def test_what_cannot_be_done_is_told(arguments: list[str], words: str) -> None:
    assert words in refusal(*arguments)


def test_what_has_no_effect_is_told_and_what_is_switched_off_is_not_refused() -> None:
    made = start(BASE, "--num_load_threads=4", "--use_alts_credentials=false", "--ssl_config_file=")
    (note, listening) = made.notes
    assert note.startswith("--num_load_threads has no effect here: ")
    assert "127.0.0.1 alone" in listening


# Addresses


def test_an_open_address_must_be_asked_for_in_a_container() -> None:
    assert "In a container" in refusal(BASE, is_container=True)
    asked = start(BASE, is_container=True, chosen={"host": "0.0.0.0"})
    assert asked.flags["doors"] == ("tfserving-grpc@0.0.0.0:8500",)
    assert asked.flags["allowed_hosts"] == ("*",)
    assert asked.notes == ()
    assert "allowed_hosts" not in start(BASE, chosen={"host": "0.0.0.0", "allowed_hosts": "a"}).flags


def test_a_host_may_be_a_flag_and_of_the_new_family() -> None:
    made = start(BASE, "--host=::1", is_container=True)
    assert made.flags["doors"] == ("tfserving-grpc@[::1]:8500",)
    assert "allowed_hosts" not in made.flags
