"""What a model-settings.json means here, and what becomes of each of its keys."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.foreign.base import Fate
from salver.models.foreign.mlserver import declared


def meant(**document: Any) -> Any:
    return declared(json.dumps(document).encode(), "m/model-settings.json")


def test_names_files_versions_and_batches_become_those_of_a_model_toml() -> None:
    found = meant(
        name="mnist",
        implementation="mlserver_sklearn.SKLearnModel",
        max_batch_size=32,
        max_batch_time=0.5,
        parameters={"uri": "./models/mnist.joblib", "version": "v2.1"},
    )
    manifest = found.manifest
    assert (manifest.name, manifest.runtime, manifest.artifact) == ("mnist", "sklearn", "models/mnist.joblib")
    assert (manifest.batching.max_batch_rows, manifest.batching.max_batch_delay_ms, found.version) == (32, 500.0, 2)
    assert found.checks["rename"]["probabilities"] == "predict_proba"


def test_an_empty_file_changes_nothing() -> None:
    found = meant()
    assert (found.manifest.name, found.manifest.runtime, found.manifest.artifact) == (None, None, None)
    assert (found.version, found.checks, found.remarks) == (None, {}, ())
    assert meant(parameters={"uri": "./"}).manifest.artifact is None
    assert meant(implementation="mlserver_mlflow.MLflowRuntime").manifest.runtime is None
    assert meant(implementation="mlserver_onnx.OnnxModel").checks == {}


def test_hugging_face_is_told_its_task_and_device() -> None:
    extra = {"task": "text-classification", "device": -1, "pretrained_model": "./bert", "optimum_model": False}
    found = meant(implementation="mlserver_huggingface.HuggingFaceRuntime", parameters={"extra": extra})
    assert found.manifest.runtime == {"name": "transformers", "task": "text-classification", "device": "cpu"}
    assert found.manifest.artifact == "bert"
    assert {remark.option: remark.fate for remark in found.remarks} == {
        "implementation": Fate.MAPPED,
        "parameters.extra.task": Fate.MAPPED,
        "parameters.extra.device": Fate.MAPPED,
        "parameters.extra.pretrained_model": Fate.MAPPED,
        "parameters.extra.optimum_model": Fate.UNSUPPORTED,
        "outputs' names": Fate.UNSUPPORTED,
    }
    plain = meant(implementation="mlserver_huggingface.HuggingFaceRuntime", parameters={"uri": "./bert"})
    assert (plain.manifest.runtime, plain.manifest.artifact) == ("transformers", "bert")


@pytest.mark.parametrize(
    ("package", "runtime", "names"),
    [
        ("mlserver_xgboost.XGBoostModel", "xgboost", {"predict", "predict_proba"}),
        ("mlserver_catboost.CatboostModel", "catboost", {"predict", "predict_proba"}),
        ("mlserver_lightgbm.LightGBMModel", "lightgbm", {"predict"}),
    ],
)
def test_its_runtimes_for_trees_are_ours_and_outputs_have_its_names(
    package: str, runtime: str, names: set[str]
) -> None:
    found = meant(implementation=package)
    assert found.manifest.runtime == runtime
    assert {*found.checks["rename"].values()} == names
    assert found.remarks[-1].option == "outputs' names"


def test_every_key_that_is_set_is_told_of() -> None:
    found = meant(
        name="m",
        implementation="mlserver_sklearn.SKLearnModel",
        platform="sklearn",
        versions=["1"],
        inputs=[{"name": "x"}],
        outputs=[],
        parallel_workers=2,
        warm_workers=True,
        max_batch_size=1,
        max_batch_time=0.1,
        cache_enabled=True,
        mine=1,
        parameters={
            "uri": "m.joblib",
            "version": "1",
            "content_type": "np",
            "environment_tarball": "e.tar.gz",
            "environment_path": None,
            "inference_pool_gid": "a",
            "extra": {"a": 1},
        },
    )
    assert {remark.option: remark.fate for remark in found.remarks} == {
        "name": Fate.MAPPED,
        "implementation": Fate.MAPPED,
        "platform": Fate.NEEDLESS,
        "versions": Fate.NEEDLESS,
        "inputs": Fate.NEEDLESS,
        "outputs": Fate.NEEDLESS,
        "parallel_workers": Fate.NEEDLESS,
        "warm_workers": Fate.NEEDLESS,
        "max_batch_size": Fate.MAPPED,
        "max_batch_time": Fate.MAPPED,
        "cache_enabled": Fate.UNSUPPORTED,
        "mine": Fate.UNSUPPORTED,
        "parameters.uri": Fate.MAPPED,
        "parameters.version": Fate.MAPPED,
        "parameters.content_type": Fate.NEEDLESS,
        "parameters.environment_tarball": Fate.UNSUPPORTED,
        "parameters.inference_pool_gid": Fate.NEEDLESS,
        "parameters.extra": Fate.UNSUPPORTED,
        "outputs' names": Fate.MAPPED,
    }
    assert meant(parameters=None, cache_enabled=False).notes == ()


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"implementation": "mlserver_mllib.MLlibModel"}, "asks for MLServer's runtime for Spark's MLlib"),
        ({"implementation": "models.MyModel"}, "asks for code of MLServer's kind (models.MyModel)"),
        ({"parameters": {"extra": {"pretrained_model": "gpt2"}}}, "asks for the model gpt2 of the Hugging Face Hub"),
        ({"parameters": {"uri": "s3://b/m?key=secret"}}, "asks for a place outside of this machine (s3://b/m)"),
    ],
)
def test_what_waits_for_a_runtime_is_named(document: dict[str, Any], said: str) -> None:
    with pytest.raises(LoadError) as refused:
        meant(**document)
    assert said in refused.value.message
    assert refused.value.code is Code.FORMAT_UNKNOWN


@pytest.mark.parametrize("uri", ["/etc/m.joblib", "../m.joblib", "a/../../m", "file:///etc/m.joblib"])
def test_a_file_outside_of_the_models_folder_is_refused(uri: str) -> None:
    with pytest.raises(LoadError, match=r"which lies outside of the model's folder"):
        meant(parameters={"uri": uri})


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"name": 3}', b'{"parameters": {"version": 1}}'])
def test_what_is_no_such_file_is_refused(raw: bytes) -> None:
    with pytest.raises(LoadError, match=r"m/model-settings\.json: ") as refused:
        declared(raw, "m/model-settings.json")
    assert refused.value.code is Code.MANIFEST_INVALID
