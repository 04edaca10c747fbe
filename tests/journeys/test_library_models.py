"""Models of single libraries, served with no word but their path: the server builds what each of them runs in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_server import Server, eventually, serving
from journey_wires import NATIVE, TFSERVING

from framework_environments import framework_python, run_in
from pmml_tree import TREE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
BUILT_S = 1500.0
FLOWERS = [[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]]
"""Both are of the class 1, by every one of the real models."""
STATSMODELS = ("statsmodels==0.14.6", "formulaic", "patsy")
ESTIMATORS = ("scikit-learn==1.7.2", "joblib", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "pandas")
MLFLOW = ("mlflow-skinny==3.17.2", "pandas", "cloudpickle")

LINE = """
import sys
import numpy as np, pandas, statsmodels.formula.api as smf
frame = pandas.DataFrame({"size": np.arange(9.0), "town": list("abc") * 3})
frame["price"] = frame["size"] * 2 + (frame["town"] == "b") * 5
smf.ols("price ~ size + C(town)", frame).fit().save(sys.argv[1])
"""
ESTIMATOR = """
import sys
import joblib, lightgbm, numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
x = np.random.RandomState(0).rand(200, 2)
model = make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=3, verbose=-1))
joblib.dump(model.fit(x, np.where(x[:, 0] > 0.5, "high", "low")), sys.argv[1])
"""
PIPELINE = """
import sys
import spacy
nlp = spacy.blank("en")
nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Acme"}])
nlp.to_disk(sys.argv[1])
"""
LOGGED = """
import sys
import mlflow.pyfunc, pandas
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, ParamSchema, ParamSpec, Schema
class Greeting(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        word = (params or {}).get("word", "hello")
        return pandas.DataFrame({"text": word + " " + model_input["name"], "age": model_input["age"] + 1})
inputs = Schema([ColSpec("string", "name"), ColSpec("long", "age")])
outputs = Schema([ColSpec("string", "text"), ColSpec("long", "age")])
signature = ModelSignature(inputs, outputs, ParamSchema([ParamSpec("word", "string", "hello")]))
mlflow.pyfunc.save_model(sys.argv[1], python_model=Greeting(), signature=signature,
                         input_example=pandas.DataFrame({"name": ["a"], "age": [1]}),
                         pip_requirements=["mlflow-skinny==3.17.2", "pandas"])
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("libraries")
    real = {
        "new": test_data / "xgboost" / "iris_kserve.json",
        "old": test_data / "xgboost" / "iris_kserve.bst",
        "leaves": test_data / "lightgbm" / "iris_kserve.bst",
    }
    paths = {name: folder / f"{name}{path.suffix}" for name, path in real.items()}
    for name, path in real.items():
        shutil.copy(path, paths[name])
    paths |= {"tree": folder / "tree.pmml", "line": folder / "line.pickle", "estimator": folder / "estimator.joblib"}
    paths |= {"names": folder / "names", "greets": folder / "greets", "forest": folder / "forest"}
    paths["forest"].mkdir()
    shutil.copy(real["new"], paths["forest"] / "model.json")
    settings = {"name": "forest", "implementation": "mlserver_xgboost.XGBoostModel"}
    (paths["forest"] / "model-settings.json").write_text(json.dumps(settings))
    paths["tree"].write_text(TREE)
    run_in(framework_python(*STATSMODELS), LINE, paths["line"])
    run_in(framework_python(*ESTIMATORS), ESTIMATOR, paths["estimator"])
    run_in(framework_python("spacy==3.8.18"), PIPELINE, paths["names"])
    run_in(framework_python(*MLFLOW), LOGGED, paths["greets"])
    given = [f"{name}={path}" for name, path in paths.items()]
    with serving(*given, folder=folder, wait="announced", build_timeout_s=BUILT_S, builds_at_once=1) as server:
        for name in paths:
            eventually(lambda name=name: settled(server, name), BUILT_S, f"{name} is settled")
        yield server


def settled(server: Server, name: str) -> bool:
    return server.version(name)["state"] in ("READY", "FAILED")


def native(server: Server, name: str, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    reply = server.post(f"/api/v1/models/{name}/predict", json={"inputs": inputs, **more})
    assert reply.status_code == 200, (reply.text, server.version(name))
    outputs: dict[str, Any] = reply.json()["outputs"]
    return outputs


def environment(server: Server, name: str) -> dict[str, str]:
    """The packages that a model's own environment has, with their versions."""
    used = {"model": name, "version": 1}
    found = server.get("/api/v1/environments", headers=server.admin).json()["environments"]
    (mine,) = [each["id"] for each in found if used in each["used_by"]]
    shown = server.get(f"/api/v1/environments/{mine}", headers=server.admin).json()
    return {each["name"]: each["version"] for each in shown["installed"]}


def test_contradicting_versions_of_xgboost_are_served_side_by_side(served: Server) -> None:
    for name in ("new", "old"):
        assert native(served, name, {"x": FLOWERS})["label"] == [1, 1]
    old, new = (environment(served, name)["xgboost-cpu"] for name in ("old", "new"))
    assert (old.startswith("3.0."), int(new.split(".")[1]) > 0) == (True, True)


@pytest.mark.parametrize("name", ["new", "old", "leaves"])
def test_boosters_answer_over_every_wire(served: Server, name: str) -> None:
    for wire in (NATIVE, TFSERVING):
        answer = wire.ask(served.url, name, {"x": FLOWERS[0]})
        assert answer.status_code == 200, answer.text
        assert wire.row(answer.json())["label"] == 1
    (datatype,) = [row["datatype"] for row in served.get(f"/v2/models/{name}").json()["inputs"]]
    given = {"name": "x", "datatype": datatype, "shape": [2, 4], "data": FLOWERS}
    answer = served.post(f"/v2/models/{name}/infer", json={"inputs": [given]})
    assert answer.status_code == 200, answer.text
    assert {row["name"]: row["data"] for row in answer.json()["outputs"]}["label"] == [1, 1]


def test_a_folder_of_mlserver_answers_by_the_names_of_its_methods(served: Server) -> None:
    given = {"name": "x", "datatype": "FP32", "shape": [2, 4], "data": FLOWERS}
    answer = served.post("/v2/models/forest/infer", json={"inputs": [given]})
    assert answer.status_code == 200, answer.text
    outputs = {row["name"]: row for row in answer.json()["outputs"]}
    assert outputs["predict"]["data"] == [1, 1]
    assert outputs["predict_proba"]["shape"] == [2, 10]


def test_a_pickle_brings_the_library_of_its_trees(served: Server) -> None:
    answer = native(served, "estimator", {"x": [[0.9, 0.5], [0.1, 0.5]]})
    assert answer["label"] == ["high", "low"]
    assert {"lightgbm", "scikit-learn", "numpy"} <= set(environment(served, "estimator"))


@pytest.mark.parametrize("wire", [NATIVE, TFSERVING], ids=lambda wire: wire.name)
def test_columns_of_a_formula_and_fields_of_pmml_have_their_names(served: Server, wire: Any) -> None:
    line = wire.row(wire.ask(served.url, "line", {"size": 3.0, "town": "b"}).json())
    assert (line["prediction"] if wire is NATIVE else line) == pytest.approx(11.0)
    tree = wire.row(wire.ask(served.url, "tree", {"x": 0.9}).json())
    assert (tree["predicted_class"], tree["probability_yes"]) == ("yes", 0.8)


def test_a_text_becomes_its_entities(served: Server) -> None:
    answer = native(served, "names", {"x": ["So says Acme."]})
    assert [each["label"] for each in json.loads(answer["entities"][0])] == ["ORG"]


def test_an_mlflow_model_takes_columns_and_parameters(served: Server) -> None:
    given = {"name": ["ann", "bob"], "age": [1, 2]}
    assert native(served, "greets", given) == {"text": ["hello ann", "hello bob"], "age": [2, 3]}
    body = {
        "inputs": [
            {"name": "name", "datatype": "BYTES", "shape": [1], "data": ["ann"]},
            {"name": "age", "datatype": "INT64", "shape": [1], "data": [1]},
        ],
        "parameters": {"word": "bye"},
    }
    answer = served.post("/v2/models/greets/infer", json=body).json()
    assert {row["name"]: row["data"] for row in answer["outputs"]} == {"text": ["bye ann"], "age": [2]}
