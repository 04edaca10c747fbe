"""What a config.properties of MMS or TorchServe means here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salver.errors import StartupError
from salver.settings import setting_named
from salver.settings.values import checked
from salver.wire.torchserve.config import Configuration, configuration, with_environment
from salver.wire.torchserve.configkeys import KEYS, Server, key_named
from salver.wire.torchserve.sagemaker import SAGEMAKER_CONFIG
from salver.wire.torchserve.startmodels import ModelWords, StartModel, default_name, named_models

WIRES = ("mms", "mms-management", "mms-metrics", "mms-grpc", "mms-grpc-management")


def read(server: Server = "mms", /, **properties: str) -> Configuration:
    return configuration(properties, server, "config.properties")


def refusal(server: Server = "mms", /, **properties: str) -> str:
    with pytest.raises(StartupError) as caught:
        read(server, **properties)
    assert caught.value.fix
    return caught.value.message


# Settings


def test_an_empty_file_has_the_originals_defaults() -> None:
    found = read()
    assert found.settings == {
        "dialect": "mms",
        "deadline_s": 120.0,
        "max_queue_rows": 100,
        "max_body_mb": 6553500 / 1048576,
        "version_drain_s": 120.0,
        "load_timeout_s": 120.0,
        "default_workers_per_model": 0,
        "decode_input_request": True,
        "default_service_handler": "",
        "model_store": "",
    }
    assert found.addresses.doors(WIRES) == ("mms@127.0.0.1:8080", "mms-management@127.0.0.1:8081")
    assert (found.workers, found.is_all, found.models, found.notes) == (0, False, (), ())


def test_torchserve_starts_with_tokens_and_without_the_model_api() -> None:
    found = read("torchserve")
    assert (found.settings["token_authorization"], found.settings["model_control"]) == (True, "none")
    assert found.settings["token_expiration_min"] == 60
    assert found.addresses.doors(WIRES) == (
        "mms@127.0.0.1:8080",
        "mms-management@127.0.0.1:8081",
        "mms-metrics@127.0.0.1:8082",
        "mms-grpc@127.0.0.1:7070",
        "mms-grpc-management@127.0.0.1:7071",
    )


@pytest.mark.parametrize(
    ("key", "text", "setting", "value"),
    [
        ("default_response_timeout", "5", "deadline_s", 5.0),
        ("default_response_timeout_seconds", "7", "deadline_s", 7.0),
        ("default_response_timeout_seconds", "-1", "deadline_s", 120.0),
        ("job_queue_size", " 20 ", "max_queue_rows", 20),
        ("max_request_size", "1048576", "max_body_mb", 1.0),
        ("unregister_model_timeout", "0", "version_drain_s", 0.0),
        ("default_workers_per_model", "3", "default_workers_per_model", 3),
        ("decode_input_request", "false", "decode_input_request", False),
        ("decode_input_request", "TRUE", "decode_input_request", True),
        ("decode_input_request", "yes", "decode_input_request", False),
        ("default_service_handler", "service:handle", "default_service_handler", "service:handle"),
        ("model_store", "/models", "model_store", "/models"),
        ("debug", "true", "log_level", "debug"),
    ],
)
def test_a_key_of_both_servers_sets_what_it_means(key: str, text: str, setting: str, value: Any) -> None:
    assert read(**{key: text}).settings[setting] == value


@pytest.mark.parametrize(
    ("key", "text", "setting", "value"),
    [
        ("default_startup_timeout", "9", "load_timeout_s", 9.0),
        ("workflow_store", "/flows", "workflow_store", "/flows"),
        ("service_envelope", "kserve", "service_envelope", "kserve"),
        ("metrics_mode", "prometheus", "handler_metrics", "prometheus"),
        ("metrics_config", "metrics.yaml", "metrics_config", "metrics.yaml"),
        ("ts_open_inference_protocol", "true", "ts_open_inference_protocol", True),
        ("disable_token_authorization", "true", "token_authorization", False),
        ("token_expiration_min", "5", "token_expiration_min", 5.0),
        ("enable_model_api", "true", "model_control", "explicit"),
    ],
)
def test_a_key_of_torchserve_sets_what_it_means(key: str, text: str, setting: str, value: Any) -> None:
    assert read("torchserve", **{key: text}).settings[setting] == value


@pytest.mark.parametrize("server", ["mms", "torchserve"])
def test_every_value_fits_its_setting(server: Server) -> None:
    for name, value in read(server, debug="true").settings.items():
        setting = setting_named(name)
        assert setting is not None, name
        checked(setting.type, value)


def test_every_setting_that_a_key_names_is_there() -> None:
    assert [key.name for key in KEYS if key.setting and setting_named(key.setting) is None] == []


@pytest.mark.parametrize(
    ("server", "key", "text", "why"),
    [
        ("mms", "job_queue_size", "many", "job_queue_size must be a whole number, not 'many'"),
        ("mms", "job_queue_size", "0", "job_queue_size must be 1 or more, not '0'"),
        ("mms", "max_request_size", "-5", "max_request_size must be 0 or more, not '-5'"),
        ("mms", "default_workers_per_model", "1.5", "must be a whole number"),
        ("mms", "default_workers_per_model", "9" * 11, "must be a whole number"),
        ("torchserve", "metrics_mode", "graphite", "metrics_mode must be one of log, prometheus, legacy"),
        ("mms", "plugins_path", "/plugins", "plugins_path cannot be followed: plug-ins are Java"),
        ("torchserve", "enable_grpc_ssl", "true", "enable_grpc_ssl cannot be followed: the server has no TLS"),
    ],
)
def test_a_value_that_cannot_be_followed_is_refused(server: Server, key: str, text: str, why: str) -> None:
    assert why in refusal(server, **{key: text})


def test_a_switch_that_is_off_is_nothing_to_refuse() -> None:
    assert read("torchserve", enable_grpc_ssl="false").notes == ()


def test_what_sets_nothing_is_told_when_somebody_may_miss_it() -> None:
    notes = read(cors_allowed_origin="*", number_of_netty_threads="4", coulour="red", keystore="k.p12").notes
    assert notes == (
        f"config.properties: cors_allowed_origin sets nothing: {key_named('cors_allowed_origin', 'mms').told}",
        "config.properties: coulour is no key that this server knows; it sets nothing",
        f"config.properties: keystore sets nothing: {key_named('keystore', 'mms').told}",
    )


def test_keys_of_the_other_server_set_nothing() -> None:
    assert read(metrics_mode="graphite").notes == (
        "config.properties: metrics_mode is no key that this server knows; it sets nothing",
    )


def test_the_environment_wins_over_the_file_where_the_file_allows_it() -> None:
    environment = {"MMS_JOB_QUEUE_SIZE": "7", "MMS_COLOUR": "red", "TS_JOB_QUEUE_SIZE": "8"}
    file = {"job_queue_size": "5"}
    assert with_environment(file, environment, "mms") == file
    allowed = {**file, "enable_envvars_config": "true"}
    assert with_environment(allowed, environment, "mms") == {**allowed, "job_queue_size": "7"}
    assert with_environment(allowed, environment, "torchserve") == {**allowed, "job_queue_size": "8"}


def test_the_variable_of_open_inference_counts_without_leave() -> None:
    for word, is_on in (("oip", "true"), ("true", "false")):
        environment = {"TS_OPEN_INFERENCE_PROTOCOL": word}
        assert with_environment({}, environment, "torchserve") == {"ts_open_inference_protocol": is_on}
        assert with_environment({}, environment, "mms") == {}


def test_the_configuration_for_sagemaker_names_its_variables_only() -> None:
    assert SAGEMAKER_CONFIG.count("=$$SAGEMAKER_") == 7
    assert "decode_input_request=false" in SAGEMAKER_CONFIG


# Addresses


@pytest.mark.parametrize(
    ("address", "door"),
    [
        ("http://0.0.0.0:9000", "mms@0.0.0.0:9000"),
        ("HTTP://localhost:9000/", "mms@localhost:9000"),
        ("http://127.0.0.1", "mms@127.0.0.1:80"),
        ("http://[::1]:9000", "mms@[::1]:9000"),
        ("unix:/run/mms.sock", "mms@unix:/run/mms.sock"),
    ],
)
def test_an_address_is_a_door(address: str, door: str) -> None:
    assert read(inference_address=address).addresses.doors(WIRES)[0] == door


def test_an_address_without_a_port_has_the_originals_port() -> None:
    found = read("torchserve", management_address="http://127.0.0.1", metrics_address="http://127.0.0.1")
    assert found.addresses.doors(WIRES)[1:3] == ("mms-management@127.0.0.1:8081", "mms-metrics@127.0.0.1:8082")


def test_equal_addresses_are_one_door_for_both() -> None:
    same = "http://127.0.0.1:9000"
    found = read(inference_address=same, management_address=same)
    assert found.addresses.doors(WIRES) == ("mms+mms-management@127.0.0.1:9000",)


def test_the_metrics_address_stays_closed_on_request() -> None:
    doors = read("torchserve", enable_metrics_api="false").addresses.doors(WIRES)
    assert not any("metrics" in door for door in doors)


def test_grpc_has_hosts_and_ports_of_its_own() -> None:
    found = read("torchserve", grpc_inference_address="0.0.0.0", grpc_management_port="9071")
    assert found.addresses.doors(WIRES)[3:] == ("mms-grpc@0.0.0.0:7070", "mms-grpc-management@127.0.0.1:9071")


def test_a_protocol_that_is_not_there_gets_no_door() -> None:
    assert read("torchserve").addresses.doors(("mms",)) == ("mms@127.0.0.1:8080",)


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("inference_address", "127.0.0.1:8080", "inference_address is no address: '127.0.0.1:8080'"),
        ("inference_address", "http://a b:80", "is no address"),
        ("inference_address", "http://127.0.0.1:70000", "is no address"),
        ("inference_address", "https://127.0.0.1:8443", "and the server has no TLS"),
        ("grpc_inference_port", "grpc", "grpc_inference_port is no port: 'grpc'"),
        ("grpc_inference_port", "70000", "grpc_inference_port is no port"),
    ],
)
def test_an_address_that_cannot_be_opened_is_refused(key: str, text: str, why: str) -> None:
    assert why in refusal("torchserve", **{key: text})


# Models of the start


def test_models_are_named_with_commas_between() -> None:
    assert read(load_models="a=b.mar, c.mar,").models == (
        StartModel(location="b.mar", name="a"),
        StartModel(location="c.mar"),
    )
    assert read(load_models="").models == ()


@pytest.mark.parametrize("word", ["ALL", "all"])
def test_all_is_every_archive_of_the_store(word: str) -> None:
    found = read(load_models=word)
    assert (found.is_all, found.models) == (True, ())


def test_an_address_may_have_an_equals_sign() -> None:
    (model,) = named_models(["https://host/x.mar?v=1"])
    assert (model.name, model.is_remote) == (None, True)
    (model,) = named_models(["m=https://host/x.mar?v=1"])
    assert (model.name, model.location) == ("m", "https://host/x.mar?v=1")


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("noop.mar", "noop"),
        ("my-net v2.mar", "my_net_v2"),
        ("m.tar.gz", "m"),
        ("m.tgz", "m"),
        ("old.model", "old"),
        ("d", "d"),
    ],
)
def test_a_model_without_a_name_is_called_as_its_file(file: str, name: str) -> None:
    assert default_name(file) == name


MODELS = {
    "noop": {
        "1.0": {
            "defaultVersion": True,
            "marName": "noop.mar",
            "minWorkers": 2,
            "maxWorkers": 4,
            "batchSize": 8,
            "maxBatchDelay": 50,
            "responseTimeout": 9,
        }
    }
}
WORDS = ModelWords(workers=2, batch_size=8, max_batch_delay_ms=50, response_timeout_s=9)


def test_torchserve_says_how_each_version_is_run() -> None:
    assert read("torchserve", models=json.dumps(MODELS)).table == {"noop": {"1.0": WORDS}}
    assert read("mms", models=json.dumps(MODELS)).table == {}


def test_a_snapshot_names_the_models_of_the_start() -> None:
    snapshot = {"name": "startup.cfg", "modelCount": 1, "created": 1, "models": MODELS}
    found = read("torchserve", model_snapshot=json.dumps(snapshot), load_models="all")
    assert found.models == (StartModel(location="noop.mar", name="noop", version="1.0", is_default=True, words=WORDS),)
    assert not found.is_all


def test_a_snapshot_of_nothing_starts_nothing() -> None:
    assert read("torchserve", model_snapshot='{"name": "x", "modelCount": 0, "models": {}}').models == ()


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("models", "{", "models is not JSON"),
        ("models", "[]", "models is no JSON object"),
        ("models", '{"a": []}', "a must have an object for each version"),
        ("models", '{"a": {"1.0": 3}}', "a must have an object for each version"),
        ("models", '{"a": {"1.0": {"minWorkers": "2"}}}', "minWorkers must be a whole number, not '2'"),
        ("models", '{"a": {"1.0": {"minWorkers": true}}}', "minWorkers must be a whole number"),
        ("models", '{"a": {"1.0": {"minWorkers": -1}}}', "minWorkers must be a whole number"),
        ("model_snapshot", '{"models": [1]}', "model_snapshot is no JSON object"),
        ("model_snapshot", '{"models": {"a": {"1.0": {}}}}', "version 1.0 of a names no marName"),
        ("models", "[" * 100_000, "models is not JSON"),
    ],
)
def test_models_that_cannot_be_read_are_refused(key: str, text: str, why: str) -> None:
    assert why in refusal("torchserve", **{key: text})


def test_what_a_version_does_not_say_stays_open() -> None:
    assert read("torchserve", models='{"a": {"1.0": {"batchSize": 2}}}').table == {
        "a": {"1.0": ModelWords(batch_size=2)}
    }
