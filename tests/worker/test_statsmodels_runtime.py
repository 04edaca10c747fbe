"""Results of statsmodels give the answers that statsmodels gives: tables, formulas and forecasts."""

from __future__ import annotations

from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python
from salver_worker.runtimes.statsmodels_columns import formula_names

ENVIRONMENT = ("statsmodels==0.14.6", "formulaic", "patsy")


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        ("y ~ a + b", ("a", "b")),
        ("y ~ np.log(a) + a:b + I(b ** 2) - 1", ("a", "b")),
        ("y ~ C(g, Treatment(reference='u')) * a", ("g", "a")),
        ("y ~ Q('of two words') + (a == 3)", ("a", "of two words")),
        ("~ bs(x, df=4)", ("x",)),
        ("y ~ 1", ()),
    ],
)
def test_the_names_of_a_formula_are_its_columns(formula: str, names: tuple[str, ...]) -> None:
    assert formula_names(formula) == names


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_tables_and_formulas(tmp_path: Path) -> None:
    told = told_by(
        framework_python(*ENVIRONMENT),
        """
        import gzip, pandas, statsmodels.api as sm, statsmodels.formula.api as smf, warnings
        warnings.simplefilter("ignore")
        random = np.random.RandomState(0)
        x = sm.add_constant(random.rand(60, 2))
        frame = pandas.DataFrame({"a": random.rand(60) + 1, "g": random.choice(["u", "v"], 60),
                                  "k": random.choice([1, 2, 3], 60), "flag": random.rand(60) > 0.5})
        frame["y"] = np.log(frame["a"]) + (frame["g"] == "u") + frame["k"]
        asked = frame.head(3)
        given = {"a": asked["a"].to_numpy(), "g": text(*asked["g"]), "k": asked["k"].to_numpy().astype(float),
                 "flag": asked["flag"].to_numpy()}

        def table(results):
            results.save(folder + "/m.pickle")
            served = opened("statsmodels", folder + "/m.pickle")
            return [np.asarray(results.predict(x[:3])), served.predict({"x": x[:3]}, {})["prediction"], rows(served)]

        def formula(**options):
            results = smf.ols("y ~ np.log(a) + C(g) + C(k) + flag", frame).fit()
            results.save(folder + "/m.pickle", **options)
            return results, opened("statsmodels", folder + "/m.pickle")

        results, served = formula()
        bare = formula(remove_data=True)[1]
        packed = gzip.open(folder + "/m.pickle.gz", "wb")
        packed.write(open(folder + "/m.pickle", "rb").read())
        packed.close()
        import pickle
        pickle.dump({"a": 1}, open(folder + "/other.pickle", "wb"))
        tell(
            line=table(sm.OLS(x @ [1, 2, 3], x).fit()),
            logit=table(sm.Logit(random.rand(60) > 0.5, x).fit(disp=0)),
            classes=table(sm.MNLogit(random.randint(0, 3, 60), x).fit(disp=0)),
            formula=[results.predict(asked).to_numpy(), served.predict(given, {})["prediction"],
                     rows(served, "inputs"), served.details],
            bare=[bare.predict(given, {})["prediction"], rows(bare, "inputs")],
            packed=opened("statsmodels", folder + "/m.pickle.gz").predict(given, {})["prediction"],
            unknown=failure(lambda: served.predict({**given, "g": text("u", "v", "zzz")}, {})),
            other=failure(lambda: opened("statsmodels", folder + "/other.pickle")),
        )
        """,
        tmp_path,
    )
    for name, shape in (("line", [-1]), ("logit", [-1]), ("classes", [-1, 3])):
        own, served, described = told[name]
        assert served == own, name
        assert described == [["prediction", "FP64", shape]]
    own, served, inputs, details = told["formula"]
    assert served == own
    assert inputs == [["a", "FP64", [-1]], ["g", "BYTES", [-1]], ["k", "FP64", [-1]], ["flag", "BOOL", [-1]]]
    assert details == {"model": "OLS", "formula": "y ~ np.log(a) + C(g) + C(k) + flag"}
    assert told["bare"] == [own, inputs]
    assert told["packed"] == own
    assert told["unknown"][0] == "InputError"
    assert "does not match any of the expected levels" in told["unknown"][1]
    assert told["other"][1] == "the file holds a dict, which is no fitted model of statsmodels"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_time_series_answer_what_comes_next(tmp_path: Path) -> None:
    told = told_by(
        framework_python(*ENVIRONMENT),
        """
        import statsmodels.api as sm, warnings
        from statsmodels.tsa.api import VAR, AutoReg, ExponentialSmoothing, SARIMAX
        from statsmodels.tsa.arima.model import ARIMA
        warnings.simplefilter("ignore")
        random = np.random.RandomState(0)
        series, pair, future = np.cumsum(random.rand(60)), random.rand(60, 2), random.rand(3, 2)

        def ahead(results, own, given):
            results.save(folder + "/m.pickle")
            served = opened("statsmodels", folder + "/m.pickle")
            return [np.asarray(own), served.predict(given, {})["prediction"], rows(served, "inputs"), rows(served),
                    served.has_batch_dimension]

        three = {"steps": np.array([3])}
        arima = ARIMA(series, order=(1, 1, 1)).fit()
        driven = ARIMA(series, exog=random.rand(60, 2), order=(1, 0, 0)).fit()
        sarimax = SARIMAX(series, exog=random.rand(60, 2)).fit(disp=0)
        smooth = ExponentialSmoothing(series, trend="add").fit()
        auto = AutoReg(series, 2).fit()
        var = VAR(pair).fit(1)
        arima.save(folder + "/a.pickle")
        served = opened("statsmodels", folder + "/a.pickle")
        tell(
            arima=ahead(arima, arima.forecast(3), three),
            smooth=ahead(smooth, smooth.forecast(3), three),
            auto=ahead(auto, auto.forecast(3), three),
            var=ahead(var, var.forecast(pair[-1:], 3), three),
            driven=ahead(driven, driven.forecast(3, exog=future), {"x": future}),
            sarimax=ahead(sarimax, sarimax.forecast(3, exog=future), {"x": future}),
            refused=failure(lambda: served.predict({"steps": np.array([0])}, {})),
        )
        """,
        tmp_path,
    )
    for name in ("arima", "smooth", "auto", "var", "driven", "sarimax"):
        own, served, inputs, outputs, has_rows = told[name]
        assert served == own, name
        assert inputs == [["x", "FP64", [-1, 2]]] if name in ("driven", "sarimax") else [["steps", "INT64", [1]]]
        assert outputs == [["prediction", "FP64", [-1, 2] if name == "var" else [-1]]]
        assert has_rows is False
    assert told["refused"][1] == "0 steps are asked for; it must be between 1 and 1000000"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_formulas_as_newer_releases_keep_them(tmp_path: Path) -> None:
    told = told_by(
        framework_python("statsmodels==0.15.0", "pandas", "patsy"),
        """
        import pandas, statsmodels.formula.api as smf
        frame = pandas.DataFrame({"size": np.arange(9.0) + 1, "town": list("abc") * 3})
        frame["price"] = frame["size"] * 2 + (frame["town"] == "b") * 5
        results = smf.ols("price ~ np.log(size) + C(town)", frame).fit()
        results.save(folder + "/m.pickle")
        served = opened("statsmodels", folder + "/m.pickle")
        tell(own=results.predict(frame.head(3)).to_numpy(), inputs=rows(served, "inputs"),
             served=served.predict({"size": np.array([1.0, 2.0, 3.0]), "town": text("a", "b", "c")}, {})["prediction"])
        """,
        tmp_path,
    )
    assert told["served"] == told["own"]
    assert told["inputs"] == [["size", "FP64", [-1]], ["town", "BYTES", [-1]]]
