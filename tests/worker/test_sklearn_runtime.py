"""scikit-learn estimators, in process: what is fed, what comes out, and what is refused."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, OutputInvalid
from salver_worker.runtimes import sklearn as runtime
from salver_worker.runtimes.base import LoadRequest

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 5)
Y = (X[:, 0] > 0).astype(int)


def row(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def open_file(path: Path) -> Any:
    return runtime.load(LoadRequest("m", 1, str(path), str(path.parent)))


@pytest.fixture
def serve(tmp_path: Path) -> Any:
    """Saves an estimator and opens it as a worker does."""

    def serve(estimator: Any) -> Any:
        path = tmp_path / "model.joblib"
        joblib.dump(estimator, path)
        return open_file(path)

    return serve


def text(*values: str) -> Any:
    array = np.empty(len(values), object)
    array[:] = [value.encode() for value in values]
    return array


def test_a_classifier_answers_labels_and_probabilities(serve: Any) -> None:
    model = serve(LogisticRegression().fit(X, Y))
    assert model.signature == {
        "inputs": [row("x", "FP64", -1, 2)],
        "outputs": [row("label", "INT64", -1), row("probabilities", "FP64", -1, 2)],
        "ranking": None,
    }
    outputs = model.predict({"x": X[:3]}, {})
    assert outputs["label"].tolist() == [0, 0, 1]
    assert outputs["probabilities"].sum(axis=1) == pytest.approx([1, 1, 1])
    assert model.details == {"estimator": "LogisticRegression"}
    assert model.runtime_version.startswith("scikit-learn 1.")


def test_labels_that_are_text_travel_as_bytes(serve: Any) -> None:
    model = serve(LogisticRegression().fit(X, np.where(Y, "yes", "no")))
    assert model.signature["outputs"][0] == row("label", "BYTES", -1)
    assert model.predict({"x": X[2:4]}, {})["label"].tolist() == [b"yes", b"yes"]


def test_a_classifier_without_probabilities_answers_labels_alone(serve: Any) -> None:
    assert serve(SVC().fit(X, Y)).signature["outputs"] == [row("label", "INT64", -1)]


def test_a_regressor_answers_a_prediction(serve: Any) -> None:
    model = serve(LinearRegression().fit(X, X.sum(axis=1)))
    assert model.signature["outputs"] == [row("prediction", "FP64", -1)]
    assert model.predict({"x": X[:4]}, {})["prediction"] == pytest.approx([0, 1, 1, 2])


def test_several_targets_give_as_many_columns(serve: Any) -> None:
    assert serve(LinearRegression().fit(X, X)).signature["outputs"] == [row("prediction", "FP64", -1, 2)]
    forest = serve(RandomForestClassifier(n_estimators=2).fit(X, X.astype(int)))
    names = [output["name"] for output in forest.signature["outputs"]]
    assert names == ["label", "probabilities_0", "probabilities_1"]


def test_a_clustering_answers_labels(serve: Any) -> None:
    assert serve(KMeans(2, n_init=1).fit(X)).signature["outputs"] == [row("label", "INT32", -1)]


def test_columns_with_names_are_fed_as_a_table(serve: Any) -> None:
    model = serve(LogisticRegression().fit(pd.DataFrame(X, columns=["a", "b"]), Y))
    assert model.signature["inputs"] == [{**row("x", "FP64", -1, 2), "columns": ["a", "b"]}]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # scikit-learn warns when the names are missing
        assert model.predict({"x": X[:1]}, {})["label"].tolist() == [0]


def test_names_are_left_out_where_there_is_no_pandas(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = serve(LogisticRegression().fit(pd.DataFrame(X, columns=["a", "b"]), Y))
        assert model.predict({"x": X[:1]}, {})["label"].tolist() == [0]


FRAME = pd.DataFrame(
    {"age": [1.0, 2.0, 3.0, 4.0], "city": ["a", "b", "a", "b"], "note": ["red fox", "hen", "fox", "hen hen"]}
)
ENCODERS = {
    "by name": [("city", OneHotEncoder(), ["city"]), ("age", StandardScaler(), ["age"])],
    "by position": [("city", OneHotEncoder(), [1]), ("age", StandardScaler(), [0])],
    "by slice": [("city", OneHotEncoder(), slice(1, 2)), ("age", StandardScaler(), slice(0, 1))],
    "by mask": [("city", OneHotEncoder(), [False, True, False]), ("age", StandardScaler(), ["age"])],
    "in a pipeline": [
        ("city", make_pipeline(OneHotEncoder(), FunctionTransformer()), ["city"]),
        ("age", "passthrough", ["age"]),
    ],
}


@pytest.mark.parametrize("chosen", sorted(ENCODERS))
def test_columns_of_text_make_each_column_an_input(serve: Any, chosen: str) -> None:
    pipeline = make_pipeline(ColumnTransformer(ENCODERS[chosen]), LogisticRegression())
    model = serve(pipeline.fit(FRAME, [0, 1, 0, 1]))
    assert model.signature["inputs"] == [row("age", "FP64", -1), row("city", "BYTES", -1), row("note", "FP64", -1)]
    assert model.signature["outputs"] == [row("label", "INT64", -1), row("probabilities", "FP64", -1, 2)]
    outputs = model.predict({"age": np.array([1.0, 2.0]), "city": text("a", "b"), "note": np.zeros(2)}, {})
    assert outputs["label"].tolist() == [0, 1]


def test_a_column_that_is_vectorized_is_text_too(serve: Any) -> None:
    columns = ColumnTransformer([("note", TfidfVectorizer(), "note"), ("age", "passthrough", ["age"])])
    model = serve(make_pipeline(columns, MultinomialNB()).fit(FRAME.drop(columns="city"), [0, 1, 0, 1]))
    assert model.signature["inputs"] == [row("age", "FP64", -1), row("note", "BYTES", -1)]
    assert model.predict({"age": np.ones(1), "note": text("hen")}, {})["label"].tolist() == [1]


def test_a_pipeline_that_begins_with_a_vectorizer_takes_texts(serve: Any) -> None:
    model = serve(make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(["good fine", "bad awful"], ["+", "-"]))
    assert model.signature["inputs"] == [row("x", "BYTES", -1)]
    assert model.signature["outputs"] == [row("label", "BYTES", -1), row("probabilities", "FP64", -1, 2)]
    assert model.predict({"x": text("fine", "awful")}, {})["label"].tolist() == [b"+", b"-"]
    with pytest.raises(InputError, match="not UTF-8"):
        model.predict({"x": np.array([b"\xff"], object)}, {})


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_holes_in_the_input_are_the_callers_error(serve: Any, value: float) -> None:
    model = serve(LogisticRegression().fit(X, Y))
    with pytest.raises(InputError, match="the input x has NaN or infinity in row 1"):
        model.predict({"x": np.array([[0.0, 0.0], [value, 0.0]])}, {})


def test_other_errors_are_the_models(serve: Any) -> None:
    model = serve(LogisticRegression().fit(X, Y))
    with pytest.raises(ValueError, match="features"):
        model.predict({"x": np.zeros((1, 3))}, {})


def test_an_estimator_that_does_not_like_zeros_is_described_by_its_attributes(
    serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    class Shy:
        n_features_in_ = 2
        classes_ = np.array(["a", "b", "c"])

        def predict(self, table: Any) -> Any:
            raise ValueError("not zeros")

        predict_proba = predict

    model = runtime.Estimator(Shy(), "", {})
    assert model.signature["outputs"] == [row("label", "BYTES", -1), row("probabilities", "FP64", -1, 3)]
    assert "a first run with zeros failed" in capsys.readouterr().err


def test_labels_that_are_neither_numbers_nor_text_do_not_travel() -> None:
    class Odd:
        n_features_in_ = -1

        def predict(self, table: Any) -> Any:
            return [None]

    model = runtime.Estimator(Odd(), "", {})
    assert model.signature["outputs"] == [row("label", "INT64", -1)]
    with pytest.raises(OutputInvalid, match="the output label is neither"):
        model.predict({"x": X}, {})


@pytest.mark.parametrize("ending", [".pkl", ".pickle", ".joblib"])
def test_a_pickle_is_opened_with_and_without_joblib(tmp_path: Path, monkeypatch: Any, ending: str) -> None:
    path = tmp_path / ("model" + ending)
    path.write_bytes(pickle.dumps(DummyClassifier(strategy="most_frequent").fit(X, Y)))
    assert open_file(path).details["estimator"] == "DummyClassifier"
    monkeypatch.setitem(__import__("sys").modules, "joblib", None)
    assert open_file(path).details["estimator"] == "DummyClassifier"


def test_a_file_that_holds_no_estimator_is_refused(tmp_path: Path) -> None:
    joblib.dump({"weights": [1]}, tmp_path / "model.pkl")
    with pytest.raises(LoadFailure, match="holds a dict, which has no method `predict`"):
        open_file(tmp_path / "model.pkl")


def test_a_skops_file_of_known_types_is_opened(tmp_path: Path) -> None:
    skops.io.dump(LogisticRegression().fit(X, Y), tmp_path / "model.skops")
    assert open_file(tmp_path / "model.skops").predict({"x": X[:1]}, {})["label"].tolist() == [0]


def test_a_skops_file_of_unknown_types_names_them(tmp_path: Path) -> None:
    pipeline = make_pipeline(FunctionTransformer(Path), LogisticRegression())
    skops.io.dump(pipeline, tmp_path / "model.skops")
    with pytest.raises(LoadFailure, match=r"not known to be safe: .*Path"):
        open_file(tmp_path / "model.skops")


def test_a_real_iris_model_is_served(test_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = open_file(test_data / "sklearn" / "iris_svc_kserve.joblib")
    outputs = model.predict({"x": np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])}, {})
    assert outputs["label"].tolist() == [1, 1]
    assert model.signature["inputs"][0]["shape"] == [-1, 4]
    assert model.details["saved_with"].startswith("scikit-learn ")
    assert "scikit-learn" in capsys.readouterr().err


def test_a_real_digits_model_is_served(test_data: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    model = open_file(test_data / "sklearn" / "mnist_svm_mlserver.joblib")
    assert (model.predict({"x": digits.data[:50]}, {})["label"] == digits.target[:50]).mean() > 0.9
