"""What each importer finds, maps and cannot map."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from salver.errors import LoadError, StartupError
from salver.importers.base import Fate, Imported, ImportedModel
from salver.importers.report import commands, lines, summary
from salver.importers.tomltext import settings_text
from salver.types import PolicyKind


def model(imported: Imported, name: str) -> ImportedModel:
    return next(each for each in imported.models if each.name == name)


def fates(model: ImportedModel) -> dict[str, Fate]:
    return {remark.option: remark.fate for remark in model.remarks}


def served(imported: Imported) -> list[str]:
    return [f"{each.name}/{version.number}" for each in imported.models for version in each.served]


# TensorFlow Serving


def test_a_model_config_file_brings_versions_policies_and_labels(read, write, container: Path) -> None:
    config = write(
        "models.config",
        """
        model_config_list {
          config {
            name: "simple" base_path: "/models/simple" model_platform: "onnx"
            model_version_policy { specific { versions: [1] } } version_labels { key: "canary" value: 2 }
            version_labels { key: "gone" value: 9 } logging_config { }
          }
          config { name: "all of it" base_path: "/models/simple" model_version_policy { all {} } }
          config { name: "latest" base_path: "/models/simple" model_version_policy { latest { num_versions: 2 } } }
          config { name: "half" base_path: "/models/half" }
          config { name: "bad" base_path: "/models/bad" }
          config { name: "away" base_path: "s3://bucket/away" }
        }
        """,
    )
    imported = read(config, root=container)
    assert imported.server == "TensorFlow Serving"
    several = ["simple/1", "simple/2", "all-of-it/1", "all-of-it/2", "latest/1", "latest/2"]
    assert served(imported) == [*several, "half/124"]
    simple = model(imported, "simple")
    assert simple.policy is not None
    assert (simple.policy.kind, simple.policy.versions, simple.labels) == (PolicyKind.SPECIFIC, (1,), {"canary": 2})
    assert fates(simple) == {
        "name": Fate.MAPPED,
        "base_path": Fate.MAPPED,
        "model_version_policy": Fate.MAPPED,
        "version_labels canary": Fate.MAPPED,
        "version_labels gone": Fate.UNSUPPORTED,
        "model_platform": Fate.NEEDLESS,
        "logging_config": Fate.UNSUPPORTED,
    }
    (bad,) = model(imported, "bad").versions
    assert bad.number == 123
    assert bad.problem is not None
    assert "is a checkpoint of TensorFlow, which has no signatures" in bad.problem.message
    assert "\n  version 123: NOT SERVED: " in "\n".join(lines(imported))
    away = model(imported, "away").problem
    assert away is not None
    assert "'s3://bucket/away' is not on this machine" in away.message
    assert commands(imported) == (
        "salver policy simple specific 1",
        "salver label simple canary 2",
        "salver policy all-of-it all",
        "salver policy latest latest --count 2",
    )


def test_a_base_path_is_one_model(read, container: Path) -> None:
    imported = read(container / "models" / "half")
    assert (imported.server, [each.name for each in imported.models]) == ("TensorFlow Serving", ["half"])
    assert read(container / "models" / "simple", kind="tfserving").models[0].is_whole


def test_files_that_only_flags_name_are_settings(read, write, container: Path) -> None:
    batching = write(
        "batching", "max_batch_size { value: 32 } batch_timeout_micros { value: 2500 } num_batch_threads { value: 4 }"
    )
    monitoring = write("monitoring", 'prometheus_config { enable: true path: "/numbers" }')
    folder = container / "models" / "half"
    imported = read(folder, batching_parameters_file=batching, monitoring_config_file=monitoring)
    words = {"max_batch_rows": 32, "max_batch_delay_ms": 2.5, "max_queue_rows": 320, "tfs_monitoring_path": "/numbers"}
    assert imported.settings == {"compat": ["tfserving"], "watch_s": 1.0, **words}
    text, unknown = settings_text(imported.settings, "note")
    assert (unknown, tomllib.loads(text)["tfserving"]) == ((), {"tfs_monitoring_path": "/numbers"})
    fate = {remark.option: remark.fate for remark in imported.remarks}
    assert (fate["batching_parameters_file"], fate["monitoring_config_file"]) == (Fate.MAPPED, Fate.MAPPED)
    assert fate["batching_parameters_file num_batch_threads"] is Fate.UNSUPPORTED
    off = read(folder, monitoring_config_file=write("off", "prometheus_config { }"))
    assert off.settings["tfs_monitoring_path"] == ""
    with pytest.raises(LoadError, match="line 1, column 1: there is no field 'max'"):
        read(folder, batching_parameters_file=write("broken", "max: 3"))


def test_files_of_tensorflow_serving_are_for_its_set_ups(read, write, store: Path) -> None:
    with pytest.raises(StartupError, match="--monitoring-config-file is for set-ups of TensorFlow Serving"):
        read(store, monitoring_config_file=write("monitoring", ""))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model_config_list { config { nam: 1 } }", "line 1, column 30: ModelConfig has no field nam"),
        ("model_config_list { cfg { } }", "line 1, column 21: model_config_list has no field cfg"),
        ("model_config_list { } more: 1", "line 1, column 23: there is no field more"),
        (
            "model_config_list { config { model_version_policy { some { } } } }",
            "model_version_policy has no field some",
        ),
        ("custom_model_config { }", "custom_model_config is code of its own"),
        ("model_config_list {", "expected a field's name, found the end of the text"),
    ],
)
def test_a_model_config_file_that_is_none_says_where(read, write, text: str, said: str) -> None:
    with pytest.raises(StartupError) as refused:
        read(write("models.config", text))
    assert said in refused.value.message


# MMS and TorchServe


def test_a_store_by_itself_is_all_its_archives(read, store: Path) -> None:
    imported = read(store)
    assert (imported.server, served(imported)) == ("MXNet Model Server", ["echo/1", "echo/2", "other/1"])
    assert model(imported, "echo").is_whole


def test_a_config_says_which_archives_and_how_they_run(read, write, store: Path) -> None:
    config = write(
        "srv/config.properties",
        "inference_address=http://127.0.0.1:9080\nmodel_store=/home/model-server/store\n"
        "load_models=first=a.mar,other.mar,lost.mar,https://h/x.mar\ndefault_workers_per_model=3\n"
        "default_response_timeout=7\nnumber_of_netty_threads=4\ncors_allowed_origin=*\nplugins_path=/p\nmine=1\n",
    )
    imported = read(config)
    assert imported.server == "TorchServe" or imported.server == "MXNet Model Server"
    assert served(imported) == ["first/1", "other/1"]
    assert imported.settings["deadline_s"] == 7.0
    assert imported.settings["doors"] == ["mms@127.0.0.1:9080", "mms-management@127.0.0.1:8081"]
    assert imported.settings["model_store"] == str(store)
    (first,) = model(imported, "first").versions
    assert first.manifest.replicas == 3
    told = {remark.option: remark.fate for remark in imported.remarks}
    assert told == {
        "inference_address": Fate.MAPPED,
        "model_store": Fate.MAPPED,
        "load_models": Fate.MAPPED,
        "default_workers_per_model": Fate.MAPPED,
        "default_response_timeout": Fate.MAPPED,
        "number_of_netty_threads": Fate.NEEDLESS,
        "cors_allowed_origin": Fate.UNSUPPORTED,
        "plugins_path": Fate.UNSUPPORTED,
        "mine": Fate.UNSUPPORTED,
    }
    lost = {each.name: each.problem.message for each in imported.models if each.problem}
    assert "there is no lost.mar" in lost["lost.mar"]
    assert lost["x.mar"] == "it is fetched from an address without a digest"


def test_a_snapshot_says_versions_workers_and_batches(read, write, store: Path) -> None:
    row = {"marName": "b.mar", "minWorkers": 2, "maxWorkers": 4, "batchSize": 8, "maxBatchDelay": 50, "more": 1}
    snapshot = {
        "name": "startup.cfg",
        "modelCount": 1,
        "models": {"echo": {"2.0": {**row, "defaultVersion": True, "responseTimeout": 9}}},
    }
    imported = read(write("srv/config.properties", f"model_store=store\nmodel_snapshot={json.dumps(snapshot)}\n"))
    assert imported.server == "TorchServe"
    assert imported.settings["doors"][2:] == [
        "mms-metrics@127.0.0.1:8082",
        "mms-grpc@127.0.0.1:7070",
        "mms-grpc-management@127.0.0.1:7071",
    ]
    echo = model(imported, "echo")
    (version,) = echo.versions
    assert (version.number, echo.labels) == (2, {"stable": 2})
    manifest = version.manifest
    assert (manifest.replicas, manifest.deadline_s) == (2, 9.0)
    assert (manifest.batching.max_batch_rows, manifest.batching.max_batch_delay_ms) == (8, 50.0)
    told = {remark.option: remark.fate for remark in imported.remarks}
    assert told["model_snapshot echo 2.0: maxWorkers"] is Fate.NEEDLESS
    assert told["model_snapshot echo 2.0: more"] is Fate.UNSUPPORTED


def test_the_table_of_models_says_how_they_run(read, write, store: Path) -> None:
    table = {"echo": {"1.0": {"minWorkers": 1, "batchSize": 4}}}
    text = f"model_store=store\nload_models=all\nmodels={json.dumps(table)}\ninference_address=https://0.0.0.0:8443\n"
    imported = read(write("srv/config.properties", text))
    one, two = model(imported, "echo").versions
    assert (one.manifest.batching.max_batch_rows, two.manifest.batching.max_batch_rows) == (4, None)
    assert imported.settings["doors"][0] == "mms@127.0.0.1:8080"
    assert any("https needs a TLS proxy" in remark.text for remark in imported.missed)


# Folders that are read as they lie


def test_a_triton_repository_keeps_its_files(read, data: Path) -> None:
    imported = read(data / "triton")
    assert (imported.server, served(imported)) == ("Triton", ["simple/1", "simple_int8/1", "simple_string/1"])
    assert [path.name for path in model(imported, "simple").files] == ["config.pbtxt"]
    problem = model(imported, "simple_sequence").problem
    assert problem is not None
    assert "sequence_batching" in problem.message
    assert summary(imported) == "3 of 5 models are served here; 1 option not mapped"


def test_one_model_of_a_triton_repository_by_itself(read, data: Path, tmp_path: Path) -> None:
    simple = shutil.copytree(data / "triton" / "simple", tmp_path / "simple")
    shutil.copytree(simple / "1", simple / "2")
    with (simple / "config.pbtxt").open("a") as file:
        file.write("version_policy { all {} }")
    imported = read(simple)
    assert served(imported) == ["simple/1", "simple/2"]
    assert imported.models[0].policy is not None
    assert commands(imported) == ()  # its own file says it


def test_mlservers_folder_brings_the_servers_settings_too(read, write, data: Path, tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        settings = {
            "name": "mnist",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": "./m.joblib", "version": version, "environment_tarball": "e.tgz"},
        }
        write(f"ml/models/mnist/{version}/model-settings.json", json.dumps(settings))
        shutil.copy(data / "sklearn" / "mnist_svm_mlserver.joblib", tmp_path / "ml/models/mnist" / version / "m.joblib")
    write("ml/models/boost/model-settings.json", '{"name": "boost", "implementation": "mlserver_mllib.MLlibModel"}')
    write(
        "ml/settings.json",
        '{"http_port": 9000, "grpc_port": 9001, "server_name": "ours", "debug": true, "metrics_port": 1, "kafka": 1}',
    )
    imported = read(tmp_path / "ml")
    assert (imported.server, served(imported)) == ("MLServer", ["mnist/1", "mnist/2"])
    assert imported.settings == {"port": 9000, "grpc_port": 9001, "v2_server_name": "ours", "log_level": "debug"}
    assert {remark.option: remark.fate for remark in imported.remarks} == {
        "http_port": Fate.MAPPED,
        "grpc_port": Fate.MAPPED,
        "server_name": Fate.MAPPED,
        "debug": Fate.MAPPED,
        "metrics_port": Fate.NEEDLESS,
        "kafka": Fate.UNSUPPORTED,
    }
    boost = model(imported, "boost").problem
    assert boost is not None
    assert "MLlib" in boost.message
    remark = next(each for each in model(imported, "mnist").remarks if each.option == "parameters.environment_tarball")
    assert remark.fate is Fate.UNSUPPORTED
    assert remark.text.startswith("e.tgz is not used; write a requirements.txt")


def test_two_folders_of_one_version_are_none(read, write, data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(f"ml/{name}/model-settings.json", '{"name": "m"}')
        shutil.copy(data / "sklearn" / "mnist_svm_mlserver.joblib", tmp_path / "ml" / name / "m.joblib")
    problem = read(tmp_path / "ml").models[0].problem
    assert problem is not None
    assert problem.message == "two folders are version 1 of m"


def test_an_mlflow_model_is_one_model(read, write, data: Path, tmp_path: Path) -> None:
    write("iris/MLmodel", "flavors: {sklearn: {pickled_model: model.pkl}, python_function: {env: conda.yaml}}")
    shutil.copy(data / "sklearn" / "iris_svc_kserve.joblib", tmp_path / "iris" / "model.pkl")
    imported = read(tmp_path / "iris")
    assert (imported.server, served(imported)) == ("MLflow", ["iris/1"])
    env = next(each for each in imported.models[0].remarks if each.option == "flavors.python_function.env")
    assert env.fate is Fate.MAPPED
    assert env.text.startswith("conda.yaml: the files beside the model say")
    write("iris/MLmodel", "flavors: {prophet: {data: m.pr}}")
    problem = read(tmp_path / "iris").models[0].problem
    assert problem is not None
    assert "MLflow's flavour prophet" in problem.message


# All of them


def test_what_nobody_knows_is_told_with_what_is_known(read, write, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", write("a.txt", "hello"), write("folder/b.txt", "x").parent):
        with pytest.raises(StartupError) as refused:
            read(path)
        assert "there is no such" in refused.value.message or "an MLflow model" in refused.value.fix


def test_the_report_says_every_option_of_every_model(read, data: Path) -> None:
    imported = read(data / "triton")
    report = "\n".join(lines(imported))
    for each in imported.models:
        assert f"model {each.name}:" in report
        for remark in each.remarks:
            assert f"{remark.option}: {remark.text}" in report
    assert "model simple_sequence: NOT SERVED: " in report
    assert "NOT MAPPED  flags" in report
