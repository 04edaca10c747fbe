"""Boosters of XGBoost give the answers that XGBoost gives, whatever form they are saved in."""

from __future__ import annotations

from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
NEW = "xgboost-cpu==3.2.0"
OLD = "xgboost-cpu==3.0.5"

OBJECTIVES = """
import xgboost
x = np.random.RandomState(0).rand(120, 3).astype(np.float32)
y = (x[:, 0] > 0.5).astype(int)
asked = np.array([[0.1, 0.2, 0.3], [0.9, np.nan, 0.4]], np.float32)

def saved(form, labels=y, **parameters):
    matrix = xgboost.DMatrix(x, labels, feature_names=["a", "b", "c"])
    if parameters["objective"].startswith("rank"):
        matrix.set_group([30] * 4)
    booster = xgboost.train(parameters, matrix, 4)
    booster.save_model(folder + "/m." + form)
    return booster, opened("xgboost", folder + "/m." + form)

def both(form, **parameters):
    booster, model = saved(form, **parameters)
    matrix = xgboost.DMatrix(asked, feature_names=["a", "b", "c"])
    return [booster.predict(matrix), model.predict({"x": asked}, {}), rows(model), model.details]

tell(
    logistic=both("ubj", objective="binary:logistic"),
    softprob=both("json", objective="multi:softprob", num_class=3),
    softmax=both("ubj", objective="multi:softmax", num_class=3),
    squared=both("json", objective="reg:squarederror"),
    quantiles=both("ubj", objective="reg:quantileerror", quantile_alpha=[0.1, 0.9]),
    ranked=both("ubj", objective="rank:pairwise"),
    hinge=both("ubj", objective="binary:hinge"),
    linear=both("ubj", objective="binary:logistic", booster="gblinear", feature_selector="cyclic"),
    dart=both("ubj", objective="reg:squarederror", booster="dart"),
    targets=both("ubj", objective="binary:logistic", labels=np.c_[y, 1 - y]),
)
"""


@pytest.fixture(scope="module", params=[(NEW, ""), ("xgboost-cpu==2.1.4", "3.8")], ids=lambda pair: pair[0])
def objectives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list]:
    version, series = request.param
    return told_by(framework_python(version, series=series), OBJECTIVES, tmp_path_factory.mktemp("xgboost"))


@pytest.mark.parametrize("name", ["squared", "quantiles", "ranked", "dart"])
def test_what_is_no_classifier_answers_the_prediction_itself(objectives: dict[str, list], name: str) -> None:
    own, served, described, _details = objectives[name]
    assert served == {"prediction": pytest.approx(own)} if name != "quantiles" else served["prediction"] == own
    assert described == [["prediction", "FP32", [-1, 2] if name == "quantiles" else [-1]]]


@pytest.mark.parametrize("name", ["logistic", "linear"])
def test_of_two_classes_both_have_a_probability(objectives: dict[str, list], name: str) -> None:
    own, served, described, details = objectives[name]
    assert [row[1] for row in served["probabilities"]] == pytest.approx(own)
    assert [sum(row) for row in served["probabilities"]] == pytest.approx([1, 1])
    assert served["label"] == [int(value > 0.5) for value in own]
    assert described == [["label", "INT64", [-1]], ["probabilities", "FP32", [-1, 2]]]
    assert details["features"] == '["a", "b", "c"]'


def test_of_several_classes_the_likeliest_is_the_label(objectives: dict[str, list]) -> None:
    own, served, described, _details = objectives["softprob"]
    assert served["probabilities"] == own
    assert served["label"] == [row.index(max(row)) for row in own]
    assert described[1] == ["probabilities", "FP32", [-1, 3]]


def test_a_softmax_has_probabilities_too(objectives: dict[str, list]) -> None:
    own, served, described, details = objectives["softmax"]
    assert served["label"] == own
    assert [sum(row) for row in served["probabilities"]] == pytest.approx([1, 1])
    assert described[1] == ["probabilities", "FP32", [-1, 3]]
    assert details["objective"] == "multi:softmax"


def test_a_hinge_has_labels_alone_and_targets_are_answered_each(objectives: dict[str, list]) -> None:
    own, served, described, _details = objectives["hinge"]
    assert (served, described) == ({"label": own}, [["label", "INT64", [-1]]])
    own, served, described, _details = objectives["targets"]
    assert served == {"label": [[int(each > 0.5) for each in row] for row in own], "probabilities": own}
    assert described == [["label", "INT64", [-1, 2]], ["probabilities", "FP32", [-1, 2]]]


def test_early_stopping_outputs_that_nobody_reads_and_files_that_are_none(tmp_path: Path) -> None:
    told = told_by(
        framework_python(NEW),
        """
        import xgboost
        x = np.random.RandomState(0).rand(200, 2).astype(np.float32)
        y = (x[:, 0] + np.random.RandomState(1).rand(200) > 1).astype(int)
        train, valid = xgboost.DMatrix(x[:50], y[:50]), xgboost.DMatrix(x[50:], y[50:])
        booster = xgboost.train({"objective": "multi:softmax", "num_class": 2}, train, 60, evals=[(valid, "v")],
                                early_stopping_rounds=5, verbose_eval=False)
        booster.save_model(folder + "/m.json")
        model = opened("xgboost", folder + "/m.json")
        best = booster.predict(xgboost.DMatrix(x), iteration_range=(0, booster.best_iteration + 1))
        labels = model.predict({"x": x}, {})["label"]
        model.leave_out(["probabilities"])
        open(folder + "/cut.json", "wb").write(open(folder + "/m.json", "rb").read()[:900])
        tell(
            is_best=bool((labels == best).all()),
            rounds=[model.details["rounds"], booster.best_iteration + 1, booster.num_boosted_rounds()],
            alone=[list(model.predict({"x": x[:2]}, {})), rows(model)],
            cut=failure(lambda: opened("xgboost", folder + "/cut.json")),
        )
        """,
        tmp_path,
    )
    assert told["is_best"]
    assert int(told["rounds"][0]) == told["rounds"][1] < told["rounds"][2]
    assert told["alone"] == [["label"], [["label", "INT64", [-1]]]]
    assert told["cut"][0] == "LoadFailure"
    assert "XGBoost 3.2.0 cannot read the file" in told["cut"][1]


REAL = """
import xgboost
path = sys.argv[2]
asked = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]], np.float32)
booster = xgboost.Booster()
booster.load_model(bytearray(open(path, "rb").read()))
tell(own=booster.predict(xgboost.DMatrix(asked)), served=opened("xgboost", path).predict({"x": asked}, {})["label"])
"""


@pytest.mark.parametrize(("version", "name"), [(NEW, "iris_kserve.json"), (OLD, "iris_kserve.bst")])
def test_real_files_answer_as_xgboost_does(version: str, name: str, tmp_path: Path, test_data: Path) -> None:
    told = told_by(framework_python(version), REAL, tmp_path, test_data / "xgboost" / name)
    assert told["own"] == told["served"] == [1, 1]


def test_the_removed_form_tells_which_version_reads_it(tmp_path: Path, test_data: Path) -> None:
    program = 'tell(refused=failure(lambda: opened("xgboost", sys.argv[2])))'
    told = told_by(framework_python(NEW), program, tmp_path, test_data / "xgboost" / "iris_kserve.bst")
    assert told["refused"][1] == "the file is in the binary format that XGBoost 3.1 removed, and this is XGBoost 3.2.0"
    assert "xgboost-cpu<3.1" in told["refused"][2]


def test_pickled_estimators_and_boosters_are_opened_by_the_runtime_of_estimators(tmp_path: Path) -> None:
    told = told_by(
        framework_python("scikit-learn==1.7.2", "joblib", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "pandas"),
        """
        import joblib, lightgbm, pandas, xgboost
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        x = pandas.DataFrame(np.random.RandomState(0).rand(200, 2), columns=["a", "b"])
        y = (x["a"] > 0.5).astype(int)
        asked = x.head(3).to_numpy()

        def both(model, own):
            joblib.dump(model, folder + "/m.joblib")
            served = opened("sklearn", folder + "/m.joblib")
            given = asked.astype(np.float32) if served.signature["inputs"][0]["datatype"] == "FP32" else asked
            return [own, served.predict({"x": given}, {}), served.runtime_version.partition(" ")[0]]

        xgb = xgboost.XGBClassifier(n_estimators=4).fit(x, y)
        pipe = make_pipeline(StandardScaler(), lightgbm.LGBMRegressor(n_estimators=4, verbose=-1)).fit(x, y)
        bst = xgb.get_booster()
        lgb = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1).fit(x, y).booster_
        tell(
            estimator=both(xgb, xgb.predict_proba(x.head(3))),
            pipeline=both(pipe, pipe.predict(x.head(3))),
            booster=both(bst, bst.inplace_predict(asked.astype(np.float32))),
            leaves=both(lgb, lgb.predict(asked)),
        )
        """,
        tmp_path,
    )
    own, served, library = told["estimator"]
    assert (served["probabilities"], library) == (own, "scikit-learn")
    own, served, library = told["pipeline"]
    assert (served, library) == ({"prediction": own}, "scikit-learn")
    for name, wanted in (("booster", "xgboost"), ("leaves", "lightgbm")):
        own, served, library = told[name]
        assert [row[1] for row in served["probabilities"]] == pytest.approx(own)
        assert library == wanted
