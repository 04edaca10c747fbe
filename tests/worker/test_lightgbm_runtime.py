"""Boosters of LightGBM give the answers that LightGBM gives, to the values that they were trained on."""

from __future__ import annotations

from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PLAIN = "lightgbm==4.7.0"


@pytest.mark.parametrize(("requirements", "series"), [((PLAIN,), ""), (("lightgbm==3.3.5", "scipy"), "3.8")])
def test_each_objective_has_its_outputs(tmp_path: Path, requirements: tuple[str, ...], series: str) -> None:
    told = told_by(
        framework_python(*requirements, series=series),
        """
        import lightgbm
        x = np.random.RandomState(0).rand(300, 3)
        y = (x[:, 0] > 0.5).astype(int)
        asked = np.array([[0.1, 0.2, 0.3], [0.9, np.nan, 0.4]])

        def both(labels=y, **parameters):
            group = [30] * 10 if parameters["objective"] == "lambdarank" else None
            data = lightgbm.Dataset(x, labels, group=group)
            booster = lightgbm.train({"verbose": -1, **parameters}, data, 4)
            booster.save_model(folder + "/m.txt")
            model = opened("lightgbm", folder + "/m.txt", threads=2)
            return [booster.predict(asked), model.predict({"x": asked}, {}), rows(model)]

        def cut(size):
            raw = open(folder + "/m.txt", "rb").read()
            open(folder + "/cut.txt", "wb").write(raw[: size or len(raw) // 2])
            return failure(lambda: opened("lightgbm", folder + "/cut.txt"))

        tell(
            binary=both(objective="binary"),
            classes=both(objective="multiclass", num_class=3, labels=(x[:, 0] * 3).astype(int)),
            values=both(objective="regression"),
            ranks=both(objective="lambdarank"),
            cut=[cut(0), cut(40)],
        )
        """,
        tmp_path,
    )
    own, served, described = told["binary"]
    assert [row[1] for row in served["probabilities"]] == pytest.approx(own)
    assert served["label"] == [int(value > 0.5) for value in own]
    assert described == [["label", "INT64", [-1]], ["probabilities", "FP64", [-1, 2]]]
    own, served, described = told["classes"]
    assert served["probabilities"] == own
    assert served["label"] == [row.index(max(row)) for row in own]
    assert described == [["label", "INT64", [-1]], ["probabilities", "FP64", [-1, 3]]]
    for name in ("values", "ranks"):
        own, served, described = told[name]
        assert (served, described) == ({"prediction": own}, [["prediction", "FP64", [-1]]])
    assert [each[1] for each in told["cut"]] == [
        "the file is cut short: the mark after its last tree is missing",
    ] * 2


def test_categories_of_pandas_are_sent_as_they_were(tmp_path: Path) -> None:
    told = told_by(
        framework_python("scikit-learn==1.7.2", "joblib", "xgboost-cpu==3.2.0", "lightgbm==4.7.0", "pandas"),
        """
        import lightgbm, pandas
        random = np.random.RandomState(0)
        size = random.choice([10, 20, 40], 300)
        colour = random.choice(["red", "blue", "green"], 300)
        weight = random.rand(300)
        y = weight + (colour == "red") * 3 + (size == 40) * 5

        def both(columns, asked, given):
            frame = pandas.DataFrame(columns)
            booster = lightgbm.train({"verbose": -1, "objective": "regression"}, lightgbm.Dataset(frame, y), 20)
            booster.save_model(folder + "/m.txt")
            model = opened("lightgbm", folder + "/m.txt")
            typed = pandas.DataFrame({name: pandas.Series(values).astype(frame[name].dtype)
                                      for name, values in asked.items()})
            return [booster.predict(typed), model.predict(given, {})["prediction"], rows(model, "inputs")]

        numbers = {"weight": weight, "size": pandas.Categorical(size)}
        words = {"weight": weight, "size": pandas.Categorical(size), "colour": pandas.Categorical(colour)}
        tell(
            numbers=both(numbers, {"weight": [0.5, 0.5, 0.5], "size": [40, 10, 99]},
                         {"x": np.array([[0.5, 40], [0.5, 10], [0.5, 99]])}),
            words=both(words, {"weight": [0.5, 0.5], "size": [40, 20], "colour": ["red", "pink"]},
                       {"weight": np.array([0.5, 0.5]), "size": np.array([40.0, 20.0]), "colour": text("red", "pink")}),
        )
        """,
        tmp_path,
    )
    own, served, inputs = told["numbers"]
    assert served == own
    assert len({*own}) > 1
    assert inputs == [["x", "FP64", [-1, 2]]]
    own, served, inputs = told["words"]
    assert served == own
    assert inputs == [["weight", "FP64", [-1]], ["size", "FP64", [-1]], ["colour", "BYTES", [-1]]]


@pytest.mark.parametrize("name", ["iris_kserve.bst", "iris_mlserver.bst"])
def test_real_files_answer_as_lightgbm_does(name: str, tmp_path: Path, test_data: Path) -> None:
    told = told_by(
        framework_python(PLAIN),
        """
        import lightgbm
        asked = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])
        own = lightgbm.Booster(model_file=sys.argv[2]).predict(asked)
        tell(own=own, served=opened("lightgbm", sys.argv[2]).predict({"x": asked}, {}))
        """,
        tmp_path,
        test_data / "lightgbm" / name,
    )
    assert told["served"]["probabilities"] == told["own"]
    assert told["served"]["label"] == [1, 1]
