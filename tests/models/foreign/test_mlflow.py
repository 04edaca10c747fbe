"""What an MLmodel file says."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError
from salver.models.foreign.base import Fate
from salver.models.foreign.mlflow import read_model

FULL = """
artifact_path: model
flavors:
  onnx:
    data: model.onnx
    onnx_version: 1.17.0
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
  python_function:
    env: conda.yaml
    loader_module: mlflow.onnx
signature: {inputs: '[{"type": "double"}]'}
saved_input_example_info: {artifact_path: input_example.json}
mine: 1
"""


def test_the_preferred_flavour_is_served_and_the_rest_told_of() -> None:
    model = read_model(FULL.encode(), "m/MLmodel")
    assert (model.runtime, model.file, model.made_with) == ("onnx", "model.onnx", "onnx 1.17.0")
    assert {remark.option: remark.fate for remark in model.remarks} == {
        "flavors.onnx": Fate.MAPPED,
        "flavors.sklearn": Fate.NEEDLESS,
        "flavors.python_function": Fate.NEEDLESS,
        "flavors.python_function.env": Fate.MAPPED,
        "artifact_path": Fate.NEEDLESS,
        "signature": Fate.NEEDLESS,
        "saved_input_example_info": Fate.UNSUPPORTED,
        "mine": Fate.UNSUPPORTED,
    }


def test_pytorch_and_transformers_have_runtimes_of_other_names_and_a_task() -> None:
    model = read_model(b"flavors: {pytorch: {model_data: data, pytorch_version: 2.13.0}}", "m/MLmodel")
    assert (model.runtime, model.file, model.made_with) == ("torch", "data", "pytorch 2.13.0")
    assert model.remarks[0].text == "the runtime torch"
    model = read_model(b"flavors: {transformers: {model_binary: model, task: fill-mask}}", "m/MLmodel")
    assert (model.runtime, model.file, model.options) == ("transformers", "model", {"task": "fill-mask"})
    assert read_model(b"flavors: {transformers: {model_binary: model}}", "m/MLmodel").options == {}


@pytest.mark.parametrize(
    ("text", "runtime", "file"),
    [
        ("tensorflow: {saved_model_dir: tf2model, model_type: tf2-module}", "tensorflow", "tf2model"),
        ("tensorflow: {data: data, model_type: keras, save_format: tf}", "tensorflow", "data"),
        ("keras: {data: data, keras_version: 3.5.0}", "keras", "data"),
    ],
)
def test_models_of_tensorflow_and_keras_lie_in_folders(text: str, runtime: str, file: str) -> None:
    model = read_model(f"flavors: {{{text}, python_function: {{}}}}".encode(), "m/MLmodel")
    assert (model.runtime, model.file) == (runtime, file)


def test_a_pickle_of_cloudpickle_says_what_it_needs() -> None:
    model = read_model(b"flavors: {sklearn: {pickled_model: m.pkl, serialization_format: cloudpickle}}", "m/MLmodel")
    assert (model.runtime, model.made_with) == ("sklearn", "sklearn")
    assert "cloudpickle must be among them" in model.remarks[-1].text or "cloudpickle" in model.remarks[1].text


@pytest.mark.parametrize(
    ("text", "runtime", "file", "made_with"),
    [
        ("{xgboost: {data: m.ubj, xgboost_version: 3.0.5}, python_function: {}}", "xgboost", "m.ubj", "xgboost 3.0.5"),
        ("{python_function: {}, lightgbm: {data: m.lgb}}", "lightgbm", "m.lgb", "lightgbm"),
        ("{catboost: {data: m.cb}, python_function: {}}", "catboost", "m.cb", "catboost"),
        ("{spacy: {data: m.spacy}, python_function: {}}", "spacy", "m.spacy", "spacy"),
        ("{statsmodels: {data: m.statsmodels}}", "statsmodels", "m.statsmodels", "statsmodels"),
        ("{prophet: {data: m.pr}, python_function: {}}", "mlflow", "", "python_function of prophet"),
        ("{python_function: {loader_module: a.b}}", "mlflow", "", "python_function (a.b)"),
        ("{python_function: {}}", "mlflow", "", "python_function"),
        (
            "{sklearn: {pickled_model: m.pkl, code: code}, python_function: {}}",
            "mlflow",
            "",
            "python_function of sklearn",
        ),
        ("{sklearn: {pickled_model: m.pkl, code: null}, python_function: {code: null}}", "sklearn", "m.pkl", "sklearn"),
        ("{sklearn: {pickled_model: m.pkl, code: code}}", "sklearn", "m.pkl", "sklearn"),
    ],
)
def test_the_closest_flavour_is_served_and_the_general_one_where_there_is_none(
    text: str, runtime: str, file: str, made_with: str
) -> None:
    model = read_model(f"flavors: {text}".encode(), "m/MLmodel")
    assert (model.runtime, model.file, model.made_with) == (runtime, file, made_with)


def test_of_the_general_flavour_signature_and_example_hold() -> None:
    model = read_model(FULL.replace("onnx:", "prophet:").replace("sklearn:", "own:").encode(), "m/MLmodel")
    fates = {remark.option: remark.fate for remark in model.remarks}
    assert model.runtime == "mlflow"
    assert fates == {
        "flavors.prophet": Fate.NEEDLESS,
        "flavors.own": Fate.NEEDLESS,
        "flavors.python_function": Fate.MAPPED,
        "flavors.python_function.env": Fate.MAPPED,
        "artifact_path": Fate.NEEDLESS,
        "signature": Fate.MAPPED,
        "saved_input_example_info": Fate.MAPPED,
        "mine": Fate.UNSUPPORTED,
    }


@pytest.mark.parametrize(
    ("text", "said", "code"),
    [
        ("flavors: {prophet: {data: m.pr}}", "asks for MLflow's flavour prophet, which", "FORMAT_UNKNOWN"),
        ("flavors: {}", "asks for MLflow's flavour python_function, which", "FORMAT_UNKNOWN"),
        ("flavors: {onnx: {data: ../m.onnx}}", "flavors.onnx.data must name a file of the model's", "MANIFEST_INVALID"),
        ("flavors: {onnx: {}}", "flavors.onnx.data must name a file of the model's folder", "MANIFEST_INVALID"),
        ("flavors: [onnx]", "it names no flavors", "MANIFEST_INVALID"),
        ("flavors: {onnx: 1}", "it names no flavors", "MANIFEST_INVALID"),
        ("- 1", "it has no keys", "MANIFEST_INVALID"),
        ("a: [", "this is no YAML: while parsing a flow node", "MANIFEST_INVALID"),
        ("!!python/object/apply:os.system [id]", "this is no YAML: could not determine a constr", "MANIFEST_INVALID"),
        ("[" * 5000, "this is no YAML", "MANIFEST_INVALID"),
    ],
)
def test_what_cannot_be_served_says_why(text: str, said: str, code: str) -> None:
    with pytest.raises(LoadError) as refused:
        read_model(text.encode(), "m/MLmodel")
    assert said in refused.value.message
    assert refused.value.code is Code(code)
