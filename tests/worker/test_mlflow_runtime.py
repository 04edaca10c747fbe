"""MLflow's models by python_function: schemas of every kind, examples, parameters, and whatever models give back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ENVIRONMENT = ("mlflow-skinny==3.17.2", "pandas", "cloudpickle")
SAVING = """
import mlflow.pyfunc, pandas, warnings
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
warnings.simplefilter("ignore")

def saved(name, predict, inputs=None, outputs=None, params=None, **options):
    class Model(mlflow.pyfunc.PythonModel):
        pass
    Model.predict = predict
    signature = None if inputs is None else ModelSignature(Schema(inputs), outputs and Schema(outputs), params)
    path = folder + "/" + name
    mlflow.pyfunc.save_model(path, python_model=Model(), signature=signature, pip_requirements=["mlflow-skinny"],
                             **options)
    return path
"""


def test_columns_come_as_a_table_of_their_types(tmp_path: Path) -> None:
    told = told_by(
        framework_python(*ENVIRONMENT),
        SAVING
        + """
columns = [ColSpec("double", "size"), ColSpec("long", "rooms"), ColSpec("boolean", "new"), ColSpec("string", "town"),
           ColSpec("datetime", "built"), ColSpec("binary", "raw"), ColSpec(Array("double"), "past"),
           ColSpec("string", "note", required=False)]

def predict(self, context, model_input, params=None):
    factor = (params or {}).get("factor", 1.0)
    table = model_input
    return pandas.DataFrame({
        "value": table["size"] * table["rooms"] * factor,
        "who": table["town"].str.upper(),
        "year": table["built"].dt.year,
        "length": [len(each) for each in table["raw"]],
        "sum": [sum(each) for each in table["past"]],
        "lacks": table["note"].isna(),
    })

outputs = [ColSpec("double", "value"), ColSpec("string", "who"), ColSpec("long", "year"), ColSpec("long", "length"),
           ColSpec("double", "sum"), ColSpec("boolean", "lacks")]
path = saved("m", predict, columns, outputs, ParamSchema([ParamSpec("factor", "double", 1.0)]))
model = opened("mlflow", path)
given = {"size": np.array([1.0, 2.0]), "rooms": np.array([2, 3]), "new": np.array([True, False]),
         "town": text("a", "b"), "built": text("1999-12-31T23:30:00-01:00", "2001-02-03"), "raw": text("abc", ""),
         "past": text("[1, 2]", "[]"), "note": text("x", "")}
tell(
    inputs=rows(model, "inputs"),
    outputs=rows(model),
    once=model.predict(given, {}),
    twice=model.predict(given, {"factor": 2.0, "binary_data": True})["value"],
    refused=[failure(lambda: model.predict(given, {"factor": "much"})),
             failure(lambda: model.predict({**given, "built": text("2001-02-03", "soon")}, {})),
             failure(lambda: model.predict({**given, "past": text("[1]", "[1")}, {}))],
    details=model.details,
    has_rows=model.has_batch_dimension,
)
""",
        tmp_path,
    )
    assert told["inputs"] == [
        ["size", "FP64", [-1]],
        ["rooms", "INT64", [-1]],
        ["new", "BOOL", [-1]],
        ["town", "BYTES", [-1]],
        ["built", "BYTES", [-1]],
        ["raw", "BYTES", [-1]],
        ["past", "BYTES", [-1]],
        ["note", "BYTES", [-1]],
    ]
    assert [row[:2] for row in told["outputs"]] == [
        ["value", "FP64"],
        ["who", "BYTES"],
        ["year", "INT64"],
        ["length", "INT64"],
        ["sum", "FP64"],
        ["lacks", "BOOL"],
    ]
    assert told["once"] == {
        "value": [2, 6],
        "who": ["A", "B"],
        "year": [2000, 2001],
        "length": [3, 0],
        "sum": [3, 0],
        "lacks": [False, True],
    }
    assert told["twice"] == [4, 12]
    assert "MLflow refuses the request: Invalid parameters found" in told["refused"][0][1]
    assert told["refused"][1][1] == "the input built has no ISO 8601 date in row 1"
    assert told["refused"][2][1] == "the input past has no JSON in row 1"
    assert json.loads(told["details"]["parameters"]) == {"factor": 1.0}
    assert told["has_rows"] is True


def test_tensors_come_as_arrays_and_code_beside_the_model_is_found(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("def twice(values):\n    return values * 2\n")
    told = told_by(
        framework_python(*ENVIRONMENT),
        SAVING
        + """
def one(self, context, model_input):
    from beside import twice
    return twice(model_input).sum(axis=1)

def two(self, context, model_input):
    return {"sum": model_input["a"].sum(axis=1), "texts": [each.upper() for each in model_input["b"]]}

sys.path.insert(0, folder)
float32 = np.dtype("float32")
path = saved("one", one, [TensorSpec(float32, (-1, 2))], [TensorSpec(float32, (-1,))],
             code_paths=[folder + "/beside.py"])
sys.path.remove(folder)
first = opened("mlflow", path)
named = [TensorSpec(float32, (-1, 2), "a"), TensorSpec(np.dtype("str"), (-1,), "b")]
second = opened("mlflow", saved("two", two, named))
fixed = opened("mlflow", saved("fixed", one, [TensorSpec(float32, (3, 2))], code_paths=[folder + "/beside.py"]))
ones = np.ones((2, 2), np.float32)
tell(
    first=[rows(first, "inputs"), rows(first), first.predict({"x": ones}, {})],
    second=[rows(second, "inputs"), rows(second), second.predict({"a": ones, "b": text("u", "v")}, {})],
    has_rows=[first.has_batch_dimension, second.has_batch_dimension, fixed.has_batch_dimension],
)
""",
        tmp_path,
    )
    assert told["first"] == [[["x", "FP32", [-1, 2]]], [["prediction", "FP32", [-1]]], {"prediction": [4, 4]}]
    inputs, outputs, answer = told["second"]
    assert inputs == [["a", "FP32", [-1, 2]], ["b", "BYTES", [-1]]]
    assert outputs == []
    assert answer == {"sum": [2, 2], "texts": ["U", "V"]}
    assert told["has_rows"] == [True, True, False]


def test_an_example_tells_what_no_signature_says(tmp_path: Path) -> None:
    told = told_by(
        framework_python(*ENVIRONMENT),
        SAVING
        + """
def table(self, context, model_input, params=None):
    return model_input["a"] + model_input["b"].str.len()

def whole(self, context, model_input, params=None):
    return [float(np.sum(model_input))]

def texts(self, context, model_input, params=None):
    return [{"text": each, "length": len(each)} for each in model_input]

def broken(self, context, model_input, params=None):
    raise KeyError("a")

def without_signature(path):
    lines, skips = [], False
    for line in open(path + "/MLmodel"):
        skips = line.startswith("signature:") or (skips and line.startswith(" "))
        lines += [] if skips else [line]
    open(path + "/MLmodel", "w").writelines(lines)
    return path

frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "yy"]})
first = opened("mlflow", without_signature(saved("table", table, input_example=frame)))
second = opened("mlflow", without_signature(saved("whole", whole, input_example=np.ones((2, 2)))))
third = opened("mlflow", without_signature(saved("texts", texts, input_example=["a", "b"])))
fourth = opened("mlflow", without_signature(saved("plain", lambda self, context, model_input: model_input.sum(axis=1))))
tell(
    first=[rows(first, "inputs"), rows(first), first.predict({"a": np.array([1.0]), "b": text("zzz")}, {})],
    second=[rows(second, "inputs"), rows(second), second.has_batch_dimension],
    third=[rows(third, "inputs"), rows(third), third.predict({"x": text("abc")}, {})],
    fourth=[rows(fourth, "inputs"), rows(fourth), fourth.predict({"x": np.ones((1, 3))}, {})],
    broken=failure(lambda: opened("mlflow", without_signature(saved("broken", broken, input_example=frame)))),
)
""",
        tmp_path,
    )
    assert told["first"] == [
        [["a", "FP64", [-1]], ["b", "BYTES", [-1]]],
        [["prediction", "FP64", [-1]]],
        {"prediction": [4]},
    ]
    assert told["second"] == [[["x", "FP64", [-1, 2]]], [["prediction", "FP64", [-1]]], False]
    inputs, outputs, answer = told["third"]
    assert (inputs, outputs) == ([["x", "BYTES", [-1]]], [["prediction", "BYTES", [-1]]])
    assert json.loads(answer["prediction"][0]) == {"text": "abc", "length": 3}
    assert told["fourth"] == [[["x", "FP64", [-1, -1]]], [], {"prediction": [3]}]
    assert told["broken"][1] == "the model failed on the input example that was saved with it: KeyError: 'a'"


def test_whatever_a_model_gives_becomes_arrays(tmp_path: Path) -> None:
    told = told_by(
        framework_python(*ENVIRONMENT),
        """
        import pandas
        from salver_worker.runtimes.mlflow_outputs import fitted, named_arrays
        def shown(value):
            return {name: [array.dtype.kind, array] for name, array in named_arrays(value).items()}
        tell(
            series=shown(pandas.Series([1, 2])),
            nullable=shown(pandas.Series([1, None], dtype="Int64").fillna(7)),
            missing=named_arrays(named_arrays(pandas.Series([1, None], dtype="Int64"))["prediction"] > 0)["prediction"],
            words=shown(pandas.Series(["a", None], dtype="string")),
            dates=shown(pandas.Series(pandas.to_datetime(["2020-01-02"])).astype("datetime64[s]")),
            uneven=shown([[1], [1, 2]]),
            lone=shown(3.0),
            text=shown("whole"),
            nested=shown([{"a": np.int64(1)}, None]),
            bytes=shown([b"raw"]),
            fitted=[str(each.dtype) for each in fitted({"a": np.array([1.0])}, {"b": "FP32"}).values()],
            unfit=[str(each.dtype) for each in fitted({"a": np.array([1.5])}, {"a": "INT64"}).values()],
        )
        """,
        tmp_path,
    )
    assert told == {
        "series": {"prediction": ["i", [1, 2]]},
        "nullable": {"prediction": ["i", [1, 7]]},
        "missing": [True, False],
        "words": {"prediction": ["O", ["a", ""]]},
        "dates": {"prediction": ["O", ["2020-01-02T00:00:00"]]},
        "uneven": {"prediction": ["O", ["[1]", "[1, 2]"]]},
        "lone": {"prediction": ["f", [3.0]]},
        "text": {"prediction": ["O", ["whole"]]},
        "nested": {"prediction": ["O", ['{"a": 1}', ""]]},
        "bytes": {"prediction": ["O", ["raw"]]},
        "fitted": ["float32"],
        "unfit": ["float64"],
    }
