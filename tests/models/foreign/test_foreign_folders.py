"""Folders of other servers, given to `salver serve`: which models they hold, and as what."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.discovery import discover
from salver.models.sources import Discovery, ModelSource
from salver.models.specs import replica_spec
from salver.types import BatchSettings, PolicyKind

MakeFile = Callable[..., Path]
Find = Callable[..., Discovery]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    def run(path: Path, *, all_versions: bool = False) -> Discovery:
        return discover([str(path)], tmp_path / "artifacts", has_all_versions=all_versions)

    return run


@pytest.fixture
def simple(data: Path, tmp_path: Path) -> Path:
    """Triton's example, to be changed."""
    return shutil.copytree(data / "triton" / "simple", tmp_path / "repository" / "simple")


def shown(found: Discovery) -> list[str]:
    return [f"{model.id} {model.recognition.runtime} {model.recognition.artifact.name}" for model in found.models]


def fault(find: Find, path: Path) -> LoadError:
    with pytest.raises(LoadError) as caught:
        find(path)
    return caught.value


def with_versions(simple: Path, *names: str) -> Path:
    for name in names:
        shutil.copytree(simple / "1", simple / name)
    return simple


# Triton


def test_tritons_own_repository_is_a_folder_of_models(find: Find, data: Path) -> None:
    found = find(data / "triton")
    assert shown(found) == [
        "simple/1 onnx model.onnx",
        "simple_int8/1 onnx model.onnx",
        "simple_string/1 onnx model.onnx",
    ]
    assert [Path(failure.source).name for failure in found.failures] == ["simple_dyna_sequence", "simple_sequence"]
    assert all("sequence_batching" in failure.error.message for failure in found.failures)


def test_a_configs_words_reach_the_replicas(find: Find, simple: Path) -> None:
    config = simple / "config.pbtxt"
    text = config.read_text().replace('name: "OUTPUT0"', 'name: "OUTPUT0" label_filename: "labels.txt"')
    config.write_text(text + "instance_group { count: 3 } response_cache { enable: true }")
    (simple / "labels.txt").write_text("tabby\r\ntiger cat\n")
    (model,) = find(simple).models
    spec = replica_spec(model, threads=1, batching=BatchSettings())
    assert (spec.replicas, spec.batching.max_batch_rows) == (3, 8)
    assert spec.labels == {"OUTPUT0": ("tabby", "tiger cat")}
    assert spec.config["input"][1] == {"name": "INPUT1", "data_type": "TYPE_INT32", "dims": [16]}
    assert spec.manifest["declared"]["has_rows"] is True
    assert model.notes == ("Triton's `response_cache` does not hold here: answers are not cached",)
    assert model.folder == simple


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("", [3]),
        ("version_policy { latest { num_versions: 2 } }", [2, 3]),
        ("version_policy { all {} }", [1, 2, 3]),
        ("version_policy { specific { versions: [1, 2, 9] } }", [1, 2]),
    ],
)
def test_a_version_policy_picks_the_numbered_folders(
    find: Find, simple: Path, policy: str, versions: list[int]
) -> None:
    with_versions(simple, "2", "3", "0", "07")
    with (simple / "config.pbtxt").open("a") as file:
        file.write(policy)
    assert [model.version for model in find(simple).models] == versions
    assert [model.version for model in find(simple, all_versions=True).models] == [1, 2, 3]
    assert find(simple).models[0].policy is not None


def test_a_model_toml_stands_instead_of_a_config(find: Find, simple: Path) -> None:
    (simple / "model.toml").write_text('name = "mine"')
    with_versions(simple, "07")
    (model,) = find(simple).models
    assert (model.name, model.version, model.declared, model.policy) == ("mine", 7, None, None)
    assert model.notes == (f"{simple}/model.toml stands instead of the other server's file in {simple}",)


def test_one_version_may_lie_beside_its_config(find: Find, simple: Path) -> None:
    shutil.move(simple / "1" / "model.onnx", simple / "model.onnx")
    (simple / "1").rmdir()
    assert shown(find(simple)) == ["simple/1 onnx model.onnx"]


def test_a_model_with_its_weights_beside_it_is_a_folder(find: Find, simple: Path) -> None:
    inner = simple / "1" / "model.onnx"
    content = inner.read_bytes()
    inner.unlink()
    inner.mkdir()
    (inner / "model.onnx").write_bytes(content)
    (model,) = find(simple).models
    assert model.recognition.artifact == inner / "model.onnx"


def test_a_model_in_a_file_of_another_name(find: Find, simple: Path) -> None:
    shutil.move(simple / "1" / "model.onnx", simple / "1" / "net.onnx")
    with (simple / "config.pbtxt").open("a") as file:
        file.write('default_model_filename: "net.onnx"')
    assert shown(find(simple)) == ["simple/1 onnx net.onnx"]
    with (simple / "config.pbtxt").open("a") as file:
        file.write('cc_model_filenames { key: "x" value: "y" }')
    shutil.move(simple / "1" / "net.onnx", simple / "1" / "other.onnx")
    assert "there is no net.onnx" in fault(find, simple).message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("max_batch_sise: 8", "config.pbtxt: line 53, column 1: ModelConfig has no field max_batch_sise"),
        ('default_model_filename: "../../x.onnx"', "config.pbtxt: `artifact` must name a file of the model's folder"),
        ("instance_group { count: -1 }", ""),
    ],
)
def test_a_config_that_is_wrong_says_where(find: Find, simple: Path, line: str, said: str) -> None:
    config = simple / "config.pbtxt"
    config.write_text(config.read_text().rstrip() + "\n" + line)
    if not said:
        assert find(simple).models[0].manifest.replicas == 1
        return
    refused = fault(find, simple)
    assert said in refused.message
    assert refused.code is Code.MANIFEST_INVALID


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../secret.txt", "label_filename ../secret.txt lies outside of the model's folder"),
        ("labels.txt", "there is no file labels.txt, which label_filename names"),
        ("many.txt", "many.txt has more than 100000 labels"),
    ],
)
def test_labels_are_those_of_the_models_folder(find: Find, simple: Path, name: str, said: str) -> None:
    (simple.parent / "secret.txt").write_text("secret")
    (simple / "many.txt").write_text("x\n" * 100_001)
    config = simple / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "OUTPUT0"', f'name: "OUTPUT0" label_filename: "{name}"'))
    assert said in fault(find, simple).message


def test_a_config_that_is_no_text_or_too_large_is_refused(find: Find, simple: Path) -> None:
    config = simple / "config.pbtxt"
    config.write_bytes(b"\xff\xfe")
    assert "config.pbtxt: 'utf-8' codec" in fault(find, simple).message
    config.write_bytes(b"#" * (8 * 1024 * 1024 + 1))
    assert "is larger than" in fault(find, simple).message


def test_a_saved_model_of_triton_is_found_in_its_folder(find: Find, data: Path, tmp_path: Path) -> None:
    model = tmp_path / "half" / "1"
    shutil.copytree(data / "savedmodel" / "saved_model_half_plus_two_cpu" / "00000123", model / "model.savedmodel")
    (tmp_path / "half" / "config.pbtxt").write_text('name: "half" platform: "tensorflow_savedmodel"')
    (found,) = find(model.parent).models
    assert (found.recognition.runtime, found.recognition.artifact) == ("tensorflow", model / "model.savedmodel")


def test_what_waits_for_its_runtime_is_named(find: Find, tmp_path: Path) -> None:
    (tmp_path / "half" / "1").mkdir(parents=True)
    (tmp_path / "half" / "config.pbtxt").write_text('name: "half" platform: "tensorrt_plan"')
    message = fault(find, tmp_path / "half").message
    assert "asks for TensorRT (`platform`), which is not part of this release" in message


# MLServer


@pytest.fixture
def mnist(data: Path, make_file: MakeFile) -> Path:
    """MLServer's example of scikit-learn."""
    settings = {
        "name": "mnist-svm",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "max_batch_size": 16,
        "parameters": {"uri": "./mnist-svm.joblib", "version": "v3.1.0"},
    }
    make_file("models/mnist/mnist-svm.joblib", (data / "sklearn" / "mnist_svm_mlserver.joblib").read_bytes())
    return make_file("models/mnist/model-settings.json", json.dumps(settings)).parent


def test_mlservers_folder_is_a_model_with_its_own_name_and_version(find: Find, mnist: Path) -> None:
    for path in (mnist, mnist.parent):
        (model,) = find(path).models
        assert (str(model.id), model.recognition.runtime) == ("mnist-svm/3", "sklearn")
        assert model.recognition.artifact == mnist / "mnist-svm.joblib"
        assert model.manifest.batching.max_batch_rows == 16
        assert replica_spec(model, threads=1, batching=BatchSettings()).config == {}


def test_mlserver_looks_for_a_model_where_only_a_folder_is_named(find: Find, mnist: Path, make_file: MakeFile) -> None:
    (mnist / "inner").mkdir()
    shutil.move(mnist / "mnist-svm.joblib", mnist / "inner" / "model.joblib")
    settings = {"name": "m", "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": "inner"}}
    make_file("models/mnist/model-settings.json", json.dumps(settings))
    assert shown(find(mnist)) == ["m/1 sklearn model.joblib"]


def test_mlserver_without_a_name_is_called_as_its_folder(find: Find, mnist: Path, make_file: MakeFile) -> None:
    make_file("models/mnist/model-settings.json", "{}")
    assert shown(find(mnist)) == ["mnist/1 sklearn mnist-svm.joblib"]


# MLflow


@pytest.fixture
def mlflow(data: Path, make_file: MakeFile) -> Path:
    """A model as `mlflow.sklearn.save_model` lays it out."""
    make_file("iris/model.pkl", (data / "sklearn" / "iris_svc_kserve.joblib").read_bytes())
    make_file("iris/requirements.txt", "scikit-learn==1.5.2\n")
    return make_file(
        "iris/MLmodel",
        "flavors:\n"
        "  python_function:\n    env: {conda: conda.yaml, virtualenv: python_env.yaml}\n"
        "    loader_module: mlflow.sklearn\n    model_path: model.pkl\n    python_version: 3.11.7\n"
        "  sklearn:\n    code: null\n    pickled_model: model.pkl\n    serialization_format: cloudpickle\n"
        "    sklearn_version: 1.5.2\n"
        "mlflow_version: 2.20.0\nmodel_uuid: 0c5b\nutc_time_created: '2026-01-05 10:11:12.131415'\n",
    ).parent


def test_an_mlflow_model_is_served_in_the_flavour_that_is_known(find: Find, mlflow: Path) -> None:
    (model,) = find(mlflow).models
    assert (str(model.id), model.recognition.runtime) == ("iris/1", "sklearn")
    assert model.recognition.label == "MLflow model (sklearn 1.5.2)"
    assert model.recognition.artifact == mlflow / "model.pkl"


def test_an_mlflow_model_may_be_one_of_several_or_mlservers(find: Find, mlflow: Path, make_file: MakeFile) -> None:
    assert shown(find(mlflow.parent)) == ["iris/1 sklearn model.pkl"]
    settings = {"name": "wines", "implementation": "mlserver_mlflow.MLflowRuntime", "parameters": {"uri": "./"}}
    make_file("iris/model-settings.json", json.dumps(settings))
    assert shown(find(mlflow)) == ["wines/1 sklearn model.pkl"]
    settings["parameters"] = {"uri": "inner"}
    shutil.copytree(mlflow, mlflow.parent / "around" / "inner")
    make_file("around/model-settings.json", json.dumps(settings))
    assert shown(find(mlflow.parent / "around")) == ["wines/1 sklearn model.pkl"]


def test_an_mlflow_model_without_its_file_says_so(find: Find, mlflow: Path) -> None:
    (mlflow / "model.pkl").unlink()
    assert f"{mlflow}/MLmodel names the file model.pkl, which is not there" in fault(find, mlflow).message


def test_a_manifest_may_say_which_file_is_read(find: Find, mlflow: Path, make_file: MakeFile) -> None:
    make_file("iris/model.toml", 'name = "flowers"\ndeadline_s = 2\n')
    model: ModelSource = find(mlflow).models[0]
    assert (model.name, model.manifest.deadline_s, model.recognition.runtime) == ("flowers", 2, "sklearn")


def test_a_policy_of_the_files_is_kept_until_somebody_says_otherwise(find: Find, simple: Path) -> None:
    with (simple / "config.pbtxt").open("a") as file:
        file.write("version_policy { all {} }")
    (model,) = find(simple).models
    assert model.policy is not None
    assert model.policy.kind is PolicyKind.ALL


@pytest.mark.parametrize(
    ("file", "runtime"),
    [
        ("data/model.keras", "keras"),
        ("data/model.h5", "keras"),
        ("data/model/saved_model.pb", "tensorflow"),
    ],
)
def test_a_keras_model_of_mlflow_is_found_in_each_of_its_forms(
    find: Find, make_file: MakeFile, file: str, runtime: str
) -> None:
    folder = make_file("net/MLmodel", "flavors: {tensorflow: {data: data, model_type: keras}}").parent
    place = make_file(f"net/{file}", b"\x08\x01")
    (model,) = find(folder).models
    expected = place.parent if runtime == "tensorflow" else place
    assert (model.recognition.runtime, model.recognition.trust, model.recognition.artifact) == (
        runtime,
        "code",
        expected,
    )


def test_a_module_of_tensorflow_that_mlflow_saved_is_its_folder(find: Find, make_file: MakeFile) -> None:
    folder = make_file("net/MLmodel", "flavors: {tensorflow: {saved_model_dir: tf2model}}").parent
    place = make_file("net/tf2model/saved_model.pb", b"\x08\x01").parent
    (model,) = find(folder).models
    assert (model.recognition.runtime, model.recognition.artifact) == ("tensorflow", place)
