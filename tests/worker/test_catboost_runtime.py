"""Models of CatBoost give the answers that CatBoost gives, to numbers, categories and texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_each_loss_has_its_outputs(tmp_path: Path) -> None:
    told = told_by(
        framework_python("catboost==1.2.10"),
        """
        import catboost
        x = np.random.RandomState(0).rand(200, 2)
        y = (x[:, 0] > 0.5).astype(int)
        words = np.where(x[:, 0] > 0.6, "high", np.where(x[:, 1] > 0.5, "low", "none"))
        asked = np.array([[0.1, 0.2], [0.9, 0.7]], np.float32)
        small = {"iterations": 5, "verbose": False, "allow_writing_files": False}

        def both(model, labels, form="cbm"):
            model.fit(x, labels)
            if isinstance(model, catboost.CatBoostClassifier) and model.get_all_params()["loss_function"] == "Logloss":
                model.set_probability_threshold(0.3)
            model.save_model(folder + "/m", format=form)
            served = opened("catboost", folder + "/m")
            own = [model.predict(asked)]
            if hasattr(model, "predict_proba"):
                own.append(model.predict_proba(asked))
            return [own, served.predict({"x": asked}, {}), rows(served)]

        classifier, regressor = catboost.CatBoostClassifier, catboost.CatBoostRegressor
        open(folder + "/cut", "wb").write(b"CBM1\\x00\\x10\\x00\\x00ab")
        tell(
            numbers=both(classifier(**small), y),
            words=both(classifier(**small), words),
            json=both(classifier(**small), words, "json"),
            targets=both(classifier(loss_function="MultiLogloss", **small), np.c_[y, 1 - y]),
            values=both(regressor(**small), x[:, 1]),
            counts=both(regressor(loss_function="Poisson", **small), y),
            uncertain=both(regressor(loss_function="RMSEWithUncertainty", **small), x[:, 1]),
            cut=failure(lambda: opened("catboost", folder + "/cut")),
        )
        """,
        tmp_path,
    )
    for name, datatype, count in (("numbers", "INT64", 2), ("words", "BYTES", 3), ("json", "BYTES", 3)):
        (labels, probabilities), served, described = told[name]
        assert served["label"] == [each[0] if isinstance(each, list) else each for each in labels], name
        assert served["probabilities"] == [pytest.approx(row) for row in probabilities]
        assert described == [["label", datatype, [-1]], ["probabilities", "FP64", [-1, count]]]
    (labels, probabilities), served, described = told["targets"]
    assert served == {"label": labels, "probabilities": [pytest.approx(row) for row in probabilities]}
    assert described == [["label", "INT64", [-1, 2]], ["probabilities", "FP64", [-1, 2]]]
    for name, shape in (("values", [-1]), ("counts", [-1]), ("uncertain", [-1, 2])):
        (own,), served, described = told[name]
        assert served == {"prediction": own}, name
        assert described == [["prediction", "FP64", shape]]
    assert "CatBoost 1.2.10 cannot read the file" in told["cut"][1]


def test_categories_and_texts_are_sent_by_column(tmp_path: Path) -> None:
    told = told_by(
        framework_python("catboost==1.2.10"),
        """
        import catboost, pandas
        random = np.random.RandomState(0)
        frame = pandas.DataFrame({
            "size": random.rand(200),
            "colour": random.choice(["red", "blue"], 200),
            "floor": random.choice([1, 2, 3], 200),
            "note": random.choice(["a good day", "a bad night"], 200),
        })
        y = np.where((frame["size"] > 0.5) ^ (frame["colour"] == "red"), "yes", "no")
        model = catboost.CatBoostClassifier(iterations=5, verbose=False, allow_writing_files=False)
        model.fit(frame, y, cat_features=["colour", "floor"], text_features=["note"])
        model.save_model(folder + "/m.cbm")
        asked = pandas.DataFrame({"size": [0.2, 0.8], "colour": ["red", "pink"], "floor": [1, 9], "note": ["day", "x"]})
        served = opened("catboost", folder + "/m.cbm")
        given = {"size": np.array([0.2, 0.8], np.float32), "colour": text("red", "pink"), "floor": text("1", "9"),
                 "note": text("day", "x")}
        broken = np.empty(2, object)
        broken[:] = [b"\\xff", b"a"]
        tell(own=[model.predict(asked), model.predict_proba(asked)], served=served.predict(given, {}),
             inputs=rows(served, "inputs"), refused=failure(lambda: served.predict({**given, "note": broken}, {})),
             details=served.details)
        """,
        tmp_path,
    )
    labels, probabilities = told["own"]
    assert told["served"]["label"] == labels
    assert told["served"]["probabilities"] == [pytest.approx(row) for row in probabilities]
    assert told["inputs"] == [
        ["size", "FP32", [-1]],
        ["colour", "BYTES", [-1]],
        ["floor", "BYTES", [-1]],
        ["note", "BYTES", [-1]],
    ]
    assert told["refused"][1] == "the input note holds bytes that are not UTF-8 text"
    assert told["details"]["classes"] == '["no", "yes"]'
