"""Keras models, opened where Keras is: archives and HDF5, of Keras 3 and of Keras 2; Lambda layers are refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from runtime_process import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MAKE = """
from salver_worker.runtimes import keras as runtime
from salver_worker.runtimes.tensorflow_process import limit, open_tensorflow
tf = open_tensorflow()
limit(tf, 1)
import keras

folder = Path(sys.argv[1])
a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
left = keras.layers.Dense(3, name="left")(a)
right = keras.layers.Dense(1, name="right")(keras.layers.Concatenate()([a, b]))
pair = {"a": np.random.default_rng(0).random((3, 4), np.float32), "b": np.ones((3, 2), np.float32)}
models = {
    "lists": keras.Model([a, b], [left, right]),
    "named": keras.Model({"a": a, "b": b}, {"l": left, "r": right}),
    "sequential": keras.Sequential([keras.Input((4,), name="x"), keras.layers.Dense(2, name="last")]),
    "inner": keras.Sequential([keras.Input((4,), name="x"), keras.Sequential([keras.Input((4,)),
             keras.layers.Lambda(lambda x: x * 2, name="mine")])]),
    "lambda": keras.Sequential([keras.Input((4,), name="x"), keras.layers.Lambda(lambda x: x * 2, name="mine")]),
}
for name, model in models.items():
    for ending in ("keras", "h5"):
        path = folder / (name + "." + ending)
        model.save(path)
        if name in ("lambda", "inner"):
            out[path.name] = refusal(runtime.load, path)
            continue
        served = runtime.load(request(path))
        given = {row["name"]: pair[row["name"]] if row["name"] in pair else pair["a"]
                 for row in served.signature["inputs"]}
        for array in given.values():
            array.setflags(write=False)
        answer = served.predict(given, {})
        asked = given if name == "named" else list(given.values()) if len(given) > 1 else pair["a"]
        direct = model.predict_on_batch(asked)
        expected = list(direct.values()) if isinstance(direct, dict) else direct
        expected = expected if isinstance(expected, list) else [expected]
        out[path.name] = {
            "inputs": served.signature["inputs"], "outputs": [row["name"] for row in served.signature["outputs"]],
            "rows": served.has_batch_dimension, "details": served.details, "version": served.runtime_version,
            "same": [bool(np.allclose(answer[key], value, atol=1e-6)) for key, value in zip(sorted(answer), expected)],
            "one": {key: list(value.shape) for key, value in
                    served.predict({key: array[:1] for key, array in given.items()}, {}).items()},
        }
(folder / "cut.h5").write_bytes((folder / "lists.h5").read_bytes()[:3000])
try:
    runtime.load(request(folder / "cut.h5"))
except (OSError, LoadFailure) as error:
    out["cut"] = str(error)
"""
MORE = """
class Strange(keras.layers.Layer):
    def call(self, x):
        return x

strange = keras.Sequential([keras.Input((4,)), Strange()])
strange.save(folder / "strange.keras")
del Strange
out["strange"] = refusal(runtime.load, folder / "strange.keras")
words = keras.Sequential([keras.Input((1,), dtype="string", name="words"),
                          keras.layers.TextVectorization(vocabulary=["cat", "dog"], output_sequence_length=2)])
words.save(folder / "words.keras")
served = runtime.load(request(folder / "words.keras"))
answer = served.predict({"words": np.array([[b"dog"], [b"cat dog"]], object)}, {})
out["words"] = [served.signature["inputs"], next(iter(answer.values())).tolist()]
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("three")
    return told_by(framework_python("tensorflow-cpu"), MAKE + MORE, folder)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if sys.version_info >= (3, 12):
        pytest.skip("NO KERAS 2: this Python is newer than the last TensorFlow that has it")
    folder: Path = tmp_path_factory.mktemp("two")
    return told_by(framework_python("tensorflow-cpu==2.15.*"), MAKE, folder)


@pytest.fixture(params=["two", "three"])
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    seen: dict[str, Any] = request.getfixturevalue(request.param)
    return seen


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_inputs_and_outputs_have_the_names_of_their_layers(told, ending: str) -> None:
    found = told[f"lists.{ending}"]
    assert found["inputs"] == [
        {"name": "a", "datatype": "FP32", "shape": [-1, 4]},
        {"name": "b", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert (found["outputs"], found["rows"], found["same"]) == (["left", "right"], True, [True, True])
    assert found["one"] == {"left": [1, 3], "right": [1, 1]}


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_names_of_the_models_own_are_kept(told, ending: str) -> None:
    found = told[f"named.{ending}"]
    assert sorted(row["name"] for row in found["inputs"]) == ["a", "b"]
    assert len(found["outputs"]) == 2
    assert found["same"] == [True, True]


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_a_sequence_of_layers_is_called_as_its_ends(told, ending: str) -> None:
    found = told[f"sequential.{ending}"]
    assert ([row["name"] for row in found["inputs"]], found["outputs"], found["same"]) == (["x"], ["last"], [True])


@pytest.mark.parametrize("name", ["lambda.keras", "lambda.h5", "inner.keras", "inner.h5"])
def test_code_in_the_file_is_not_run(told, name: str) -> None:
    message, fix = told[name]
    assert message == "the layer mine is a Lambda: its code would be run"
    assert "model.export(folder)" in fix


def test_a_file_that_is_cut_short_is_refused(told) -> None:
    assert told["cut"]


def test_a_layer_that_nobody_knows_is_told_with_what_helps(three) -> None:
    message, fix = three["strange"]
    assert message.startswith("Keras cannot open the model: ")
    assert "model.export(folder)" in fix


def test_text_is_vectorised(three) -> None:
    assert three["words"] == [[{"name": "words", "datatype": "BYTES", "shape": [-1, 1]}], [[3, 0], [2, 3]]]
