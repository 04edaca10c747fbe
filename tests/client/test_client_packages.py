"""Models that live in a program become packages, which the server reads; what it finds in them is looked at here."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import salver_client
from salver.models.discovery import discover
from salver.models.packagefile import unpack_package, write_package
from salver.models.sources import ModelSource
from salver_client import Client, How, Package, SalverClientError
from salver_client.packaging import command
from salver_client.packaging import writing as client_writing
from salver_client.packaging.base import FAILED
from salver_client.packaging.examples import example_document, named_example
from salver_client.packaging.modules import copy, pinned
from salver_client.packaging.savers import SAVERS, modules_of, saver_of


def twice(x: float) -> float:
    return 2 * x


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def unlocked(model: Any, **given: Any) -> Package:
    return salver_client.package(model, lock=False, **given)


def read(made: Package, folder: Path) -> ModelSource:
    (only,) = discover([str(made.path)], folder / "artifacts").models
    return only


def fault(model: Any, **given: Any) -> SalverClientError:
    with pytest.raises(SalverClientError) as caught:
        salver_client.package(model, **given)
    assert caught.value.fix
    return caught.value


def test_both_sides_write_the_same_package(folder: Path) -> None:
    (folder / "p" / "sub").mkdir(parents=True)
    (folder / "p" / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "p" / "sub" / "run.sh").chmod(0o755)
    (folder / "p" / "ä.txt").write_text("a")
    (folder / "p" / ".hidden").write_text("")
    written, digest = client_writing.write_package(folder / "p", "m", folder / "client.salver")
    assert write_package(folder / "p", folder / "server.salver").digest == digest
    assert written.read_bytes() == (folder / "server.salver").read_bytes()
    assert unpack_package(written, folder / "cache")[1] == digest


def test_a_function_without_a_lock(folder: Path) -> None:
    made = unlocked(twice, name="twice", example={"x": [1.0]}, requirements=["tinylib<2"], description="Twice.")
    assert made.path.name == f"twice@{made.digest[:16]}.salver"
    assert (made.is_locked, made.is_proved, made.requirements) == (False, False, ("tinylib<2",))
    source = read(made, folder)
    assert (source.name, source.recognition.runtime, source.recognition.function) == ("twice", "function", "twice")
    assert source.manifest.description == "Twice."
    assert source.manifest.example is not None
    assert source.manifest.example.inputs == {"x": [1.0]}
    assert source.wish is not None
    assert source.wish.request.requirements == ("numpy", "tinylib<2")
    assert source.wish.request.python == ".".join(map(str, sys.version_info[:2]))


def test_an_example_that_names_no_input_needs_the_model_to_run(folder: Path) -> None:
    made = unlocked(twice, example=[1.0])
    assert any("the example names no input" in note for note in made.notes)
    assert read(made, folder).manifest.example is None


def test_the_same_model_has_the_same_address(folder: Path) -> None:
    assert unlocked(twice, path=folder / "a.salver").digest == unlocked(twice, path=folder / "b.salver").digest
    assert (folder / "a.salver").read_bytes() == (folder / "b.salver").read_bytes()


def test_scikit_learn_is_saved_with_joblib_and_pinned_as_installed(folder: Path) -> None:
    import sklearn
    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit(np.array([[1.0], [2.0]]), np.array([2.0, 4.0]))
    made = unlocked(model)
    assert made.name == "LinearRegression"
    assert f"scikit-learn=={sklearn.__version__}" in made.requirements
    assert {name.partition("==")[0] for name in made.requirements} == {"joblib", "numpy", "scikit-learn"}
    assert read(made, folder).recognition.runtime == "sklearn"


def test_onnx_is_written_as_it_is(folder: Path) -> None:
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    made = unlocked(helper.make_model(graph), name="relu")
    assert read(made, folder).recognition.runtime == "onnx"
    with zipfile.ZipFile(made.path) as archive:
        assert "model.onnx" in archive.namelist()


class Fake:
    """Stands for a class of a framework that is not installed here; only names count."""


@pytest.mark.parametrize(
    ("module", "name", "needs"),
    [
        ("xgboost.sklearn", "XGBModel", "xgboost"),
        ("lightgbm.basic", "Booster", "lightgbm"),
        ("catboost.core", "CatBoost", "catboost"),
        ("transformers.pipelines.base", "Pipeline", "transformers"),
        ("spacy.language", "Language", "spacy"),
        ("statsmodels.base.model", "Results", "statsmodels"),
        ("torch.nn.modules.module", "Module", "torch"),
        ("torch.jit._script", "ScriptModule", "torch"),
        ("tensorflow.python.module.module", "Module", "tensorflow"),
        ("jax._src.export._export", "Exported", "jax"),
        ("jaxlib._jax", "PjitFunction", "jax"),
        ("mxnet.gluon.block", "HybridBlock", "mxnet"),
        ("mxnet.module.module", "Module", "mxnet"),
    ],
)
def test_a_framework_is_known_by_the_names_of_its_classes(module: str, name: str, needs: str) -> None:
    kind = type("Own", (type(name, (), {"__module__": module}),), {})
    saver = saver_of(kind())
    assert saver is not None
    assert needs in saver.needs
    assert saver_of(Fake()) is None
    assert len({(each.module, each.classes) for each in SAVERS}) == len(SAVERS)


def test_what_builds_on_scikit_learn_keeps_its_own_form() -> None:
    base = type("BaseEstimator", (), {"__module__": "sklearn.base"})
    booster = type("XGBModel", (base,), {"__module__": "xgboost.sklearn"})
    assert getattr(saver_of(booster()), "module", "") == "xgboost"


@pytest.mark.parametrize(
    ("module", "name", "state", "is_pickled"),
    [
        ("lightgbm.sklearn", "LGBMModel", {}, False),
        ("lightgbm.sklearn", "LGBMModel", {"classes_": np.array([0, 1, 2])}, False),
        ("lightgbm.sklearn", "LGBMModel", {"classes_": np.array([1, 2])}, True),
        ("lightgbm.sklearn", "LGBMModel", {"classes_": np.array(["no", "yes"])}, True),
        ("lightgbm.sklearn", "LGBMModel", {"classes_": np.array([False, True])}, True),
        ("xgboost.sklearn", "XGBModel", {"missing": float("nan"), "classes_": np.array([0, 1])}, False),
        ("xgboost.sklearn", "XGBModel", {"missing": None}, False),
        ("xgboost.sklearn", "XGBModel", {"missing": 0.0}, True),
    ],
)
def test_a_booster_is_saved_alone_where_it_answers_as_the_estimator(
    module: str, name: str, state: dict[str, Any], is_pickled: bool
) -> None:
    model = type("Own", (type(name, (), {"__module__": module}),), state)()
    saver = saver_of(model)
    assert saver is not None
    assert (saver.is_pickled, "sklearn" in saver.needs) == (is_pickled, is_pickled)


def test_a_pipeline_says_its_task(folder: Path) -> None:
    def save_pretrained(self: Any, place: str) -> None:
        Path(place).mkdir()
        (Path(place) / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
        (Path(place) / "model.safetensors").write_bytes(b"")

    base = type("Pipeline", (), {"__module__": "transformers.pipelines.base", "save_pretrained": save_pretrained})
    model = type("Own", (base,), {"task": "feature-extraction"})()
    source = read(unlocked(model, name="m", requirements=["transformers"]), folder)
    assert source.manifest.runtime_options == {"task": "feature-extraction"}
    assert source.recognition.runtime == "transformers"


def test_values_without_names_are_named_in_the_order_of_the_inputs() -> None:
    assert named_example([[1.0]], ["x", "y"]) == {"x": [[1.0]]}
    assert named_example(([[1.0]], [[2.0]]), ["x", "y"]) == {"x": [[1.0]], "y": [[2.0]]}
    assert named_example({"z": 1}, ["x"]) == {"z": 1}
    assert named_example([1.0], ()) == [1.0]
    assert named_example(None, ["x"]) is None


def test_a_pickle_names_the_modules_of_all_that_it_holds() -> None:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    model = make_pipeline(FunctionTransformer(json.dumps), StandardScaler())
    saver = saver_of(model)
    assert saver is not None
    assert {"sklearn", "json", "joblib"} <= modules_of(model, saver)


def test_what_a_pickle_cannot_hold_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.preprocessing import FunctionTransformer

    assert "cannot be pickled" in fault(FunctionTransformer(lambda x: x)).message
    monkeypatch.setattr(twice, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
    assert "made of twice, which is defined in the main module" in fault(FunctionTransformer(twice)).message


def test_what_is_no_model_is_told(folder: Path) -> None:
    assert "A int is no model" in fault(5).message
    assert "A Fake is no model" in fault(Fake()).message
    assert "is no name for a model" in fault(twice, name="a b").message
    assert "There is no file requirements.txt" in fault(twice, requirements="requirements.txt").message
    assert "There is no file or folder nowhere" in fault(twice, code=["nowhere"]).message
    assert "The example has a object" in fault(twice, example=object()).message


def test_two_files_of_one_name_do_not_cover_each_other(folder: Path) -> None:
    for name in ("a", "b", "p"):
        (folder / name).mkdir()
        (folder / name / "x.txt").write_text(name)
    (folder / "p" / "x.txt").unlink()
    copy(folder / "a" / "x.txt", folder / "p")
    with pytest.raises(SalverClientError, match=r"Two different files would be called x\.txt"):
        copy(folder / "b" / "x.txt", folder / "p")


def test_examples_are_taken_as_a_program_has_them() -> None:
    import pandas as pd

    assert example_document(None) is None
    assert example_document({"x": np.array([[1, 2]]), "t": ["a", b"b"]}) == {"x": [[1, 2]], "t": ["a", "b"]}
    assert example_document(np.float32(1)) == 1.0
    assert example_document(pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]})) == [[1.0, 0.5], [2.0, 1.5]]
    assert example_document(pd.DataFrame({"a": [1], "b": ["x"]})) == {"a": [1], "b": ["x"]}


def test_requirements_come_from_a_file_or_a_list(folder: Path) -> None:
    (folder / "r.txt").write_text("# what it needs\nsix  # old\n\nnumpy\n")
    assert unlocked(twice, requirements=folder / "r.txt").requirements == ("six", "numpy")
    assert unlocked(twice, requirements="six==1.0").requirements == ("six==1.0",)
    assert pinned(["nosuchmodule"]) == ([], ["nosuchmodule"])


def test_without_the_command_the_server_locks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "command", lambda: None)
    assert not salver_client.package(twice).is_locked
    assert "`salver` is not installed here" in fault(twice, lock=True).message
    assert "`salver`, which is not installed" in fault("model.onnx").message


def test_the_command_is_found_beside_this_python() -> None:
    assert command.command() == [sys.executable, "-m", "salver"]


def test_what_the_command_says_is_the_error(folder: Path) -> None:
    error = fault("nowhere.onnx")
    assert error.code == FAILED
    assert "there is no file or folder nowhere.onnx" in error.message
    assert error.fix.startswith("Check the path")
    assert "without a reason" in str(command._told("?"))


def test_a_path_is_handed_to_the_command(folder: Path) -> None:
    (folder / "app.py").write_text("def predict(x):\n    return x\n")
    made = salver_client.package(
        Path("app.py"), name="other", example={"x": np.array([[1.0]])}, lock=False, check=False, description="d"
    )
    assert (made.name, made.is_locked, made.is_proved) == ("other", False, False)
    example = read(made, folder).manifest.example
    assert example is not None
    assert example.inputs == {"x": [[1.0]]}


def test_a_package_knows_what_it_is_called_when_it_is_pushed(folder: Path) -> None:
    made = unlocked(twice)
    with pytest.raises(SalverClientError, match="CONNECTION_FAILED"):
        made.push("http://127.0.0.1:1", how=How(plan=True))
    with Client("http://127.0.0.1:1") as client, pytest.raises(SalverClientError, match="Nobody says what the model"):
        client.push("model.onnx")


def test_importing_the_client_imports_no_framework() -> None:
    code = "import sys, salver_client; print(sorted({'numpy', 'sklearn', 'salver', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
