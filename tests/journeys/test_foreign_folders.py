"""Folders of Triton, MLServer and MLflow, given to `salver serve` as they are and asked by their own clients."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from journey_server import START_S, Server, eventually, serving

triton = pytest.importorskip("tritonclient.http")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("foreign")
    repository = shutil.copytree(test_data / "triton", folder / "repository")
    labelled = repository / "simple_int8"
    config = labelled / "config.pbtxt"
    config.write_text(
        config.read_text().replace('name: "OUTPUT0"', 'name: "OUTPUT0" label_filename: "labels.txt"')
        + "version_policy { all {} } instance_group { count: 2 }"
    )
    (labelled / "labels.txt").write_text("\n".join(f"label {number}" for number in range(16)))
    shutil.copytree(labelled / "1", labelled / "4")
    mlserver = folder / "mlserver" / "mnist"
    mlserver.mkdir(parents=True)
    shutil.copy(test_data / "sklearn" / "mnist_svm_mlserver.joblib", mlserver / "mnist-svm.joblib")
    settings = {
        "name": "mnist-svm",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./mnist-svm.joblib", "version": "v0.1.0"},
    }
    (mlserver / "model-settings.json").write_text(json.dumps(settings))
    mlflow = folder / "mlflow"
    mlflow.mkdir()
    shutil.copy(test_data / "sklearn" / "iris_svc_kserve.joblib", mlflow / "model.pkl")
    (mlflow / "MLmodel").write_text("flavors: {sklearn: {pickled_model: model.pkl, sklearn_version: 1.3.0}}")
    with serving(repository, mlserver.parent, f"iris={mlflow}", folder=folder) as server:
        yield server


def numbers(name: str, datatype: str, values: np.ndarray) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), datatype)
    made.set_data_from_numpy(values)
    return made


def test_tritons_client_asks_tritons_models(served: Server) -> None:
    ones = np.arange(32, dtype=np.int32).reshape(2, 16)
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as client:
        result = client.infer("simple", [numbers("INPUT0", "INT32", ones), numbers("INPUT1", "INT32", ones)])
        assert result.as_numpy("OUTPUT0").tolist() == (ones * 2).tolist()
        told = client.get_model_config("simple")
    assert (told["max_batch_size"], told["input"][0]["dims"]) == (8, [16])


def test_a_version_policy_loads_several_and_labels_name_the_classes(served: Server) -> None:
    def states() -> list[str]:
        document = served.get("/api/v1/models/simple_int8", headers=served.admin).json()
        return [each["state"] for each in document["versions"]]

    eventually(lambda: states() == ["READY", "READY"], START_S, "both versions have all their replicas")
    values = np.arange(16, dtype=np.int8).reshape(1, 16)
    inputs = [numbers(name, "INT8", values) for name in ("INPUT0", "INPUT1")]
    wanted = triton.InferRequestedOutput("OUTPUT0", binary_data=False, class_count=2)
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as client:
        for version in ("1", "4", ""):
            answer = client.infer("simple_int8", inputs, version, outputs=[wanted])
            assert answer.as_numpy("OUTPUT0").tolist() == [["30:15:label 15", "28:14:label 14"]]
    document = served.get("/api/v1/models/simple_int8", headers=served.admin).json()
    assert [(each["version"], each["replicas_wanted"]) for each in document["versions"]] == [(4, 2), (1, 2)]


def test_what_waits_for_its_runtime_is_told_at_the_start(served: Server) -> None:
    assert "sequences that keep state between requests (`sequence_batching`)" in served.printed


def test_mlservers_model_answers_with_mlservers_names(served: Server) -> None:
    document = served.get("/v2/models/mnist-svm", headers=served.admin).json()
    assert [output["name"] for output in document["outputs"]] == ["predict"]
    (image,) = document["inputs"]
    tensor = {"name": image["name"], "shape": [1, 64], "datatype": image["datatype"], "data": [0.0] * 64}
    answer = served.post("/v2/models/mnist-svm/infer", json={"inputs": [tensor]})
    assert answer.json()["outputs"][0]["name"] == "predict", answer.text


def test_mlflows_model_is_its_flavour(served: Server) -> None:
    answer = served.post("/v1/models/iris:predict", json={"instances": [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]})
    assert answer.status_code == 200, answer.text
    assert "MLflow model (sklearn 1.3.0)" in served.printed
