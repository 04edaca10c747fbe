"""Models of TensorFlow, Keras, TensorFlow Lite and JAX, served with no other word: the server builds what they need."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_server import Server, serving

from framework_environments import framework_python, run_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
BUILT_S = 1800.0
X = [[1.0, 2.0], [3.0, 4.5]]
KERAS = """
import sys
import keras
import numpy as np

x = keras.Input((2,), name="x")
model = keras.Model(x, keras.layers.Dense(3, name="y")(x))
model.save(sys.argv[1])
print(model.predict_on_batch(np.array([[1.0, 2.0], [3.0, 4.5]], np.float32)).tolist())
"""
JAX = """
import sys
import jax
from jax import export

(rows,) = export.symbolic_shape("n")
function = jax.jit(lambda *, x: {"y": jax.numpy.tanh(x) * 3.0})
exported = export.export(function)(x=jax.ShapeDtypeStruct((rows, 2), "float32"))
open(sys.argv[1], "wb").write(exported.serialize())
print(function(x=jax.numpy.array([[1.0, 2.0], [3.0, 4.5]]))["y"].tolist())
"""


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """What the frameworks answer when they are called directly."""
    return {}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, test_data: Path, expected: dict[str, Any]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    models = folder / "models"
    models.mkdir()
    saved = test_data / "savedmodel"
    for name, source in (
        ("half", saved / "saved_model_half_plus_two_cpu"),
        ("new", saved / "saved_model_half_plus_two_tf2_cpu"),
        ("counter", saved / "saved_model_counter"),
    ):
        shutil.copytree(source, models / name)
    shutil.copy(
        test_data / "tflite" / "saved_model_half_plus_two_tflite" / "00000123" / "model.tflite", models / "lite.tflite"
    )
    keras = run_in(framework_python("tensorflow-cpu"), KERAS, models / "dense.keras")
    jax = run_in(framework_python("jax[cpu]", "flatbuffers"), JAX, models / "tanh.jax")
    expected["dense"], expected["tanh"] = (json.loads(printed.splitlines()[-1]) for printed in (keras, jax))
    with serving(models, folder=folder, wait="announced", watch_s=60, load_timeout_s=600) as server:
        server.wait_ready(BUILT_S)
        yield server


def native(server: Server, name: str, document: Any, query: str = "") -> Any:
    reply = server.post(f"/api/v1/models/{name}/predict{query}", json=document)
    assert reply.status_code == 200, reply.text
    return reply.json()["outputs"]


def rest(server: Server, name: str, document: Any, verb: str = "predict") -> Any:
    reply = server.post(f"/v1/models/{name}:{verb}", json=document)
    assert reply.status_code == 200, reply.text
    return reply.json()


def open_inference(server: Server, name: str, row: str, values: Any) -> Any:
    shape = [len(values), len(values[0])]
    flat = [value for each in values for value in each]
    tensor = {"name": row, "datatype": "FP32", "shape": shape, "data": flat}
    reply = server.post(f"/v2/models/{name}/infer", json={"inputs": [tensor]})
    assert reply.status_code == 200, reply.text
    return reply.json()["outputs"][0]["data"]


@pytest.mark.parametrize("name", ["dense", "tanh"])
def test_it_answers_what_the_framework_answers_over_every_wire(served: Server, expected: Any, name: str) -> None:
    wanted = [pytest.approx(row, rel=1e-5) for row in expected[name]]
    assert native(served, name, {"inputs": {"x": X}})["y"] == wanted
    assert rest(served, name, {"instances": X})["predictions"] == wanted
    flat = [value for row in expected[name] for value in row]
    assert open_inference(served, name, "x", X) == pytest.approx(flat, rel=1e-5)


@pytest.mark.parametrize("name", ["half", "lite"])
def test_half_plus_two(served: Server, name: str) -> None:
    rows = [[1.0], [2.0], [5.0]]
    assert native(served, name, {"inputs": {"x": rows}})["y"] == [[2.5], [3.0], [4.5]]
    assert rest(served, name, {"instances": rows}) == {"predictions": [[2.5], [3.0], [4.5]]}
    assert open_inference(served, name, "x", rows) == [2.5, 3.0, 4.5]


def test_examples_are_classified_and_regressed_by_the_signatures_of_the_model(served: Server) -> None:
    examples = [{"x": 80.0}, {"x": 1.0}]
    regressed = rest(served, "half", {"signature_name": "regress_x_to_y", "examples": examples}, "regress")
    assert regressed == {"results": [42.0, 2.5]}
    classified = rest(served, "half", {"signature_name": "classify_x_to_y", "examples": examples}, "classify")
    assert classified == {"results": [[["", 42.0]], [["", 2.5]]]}
    reply = served.post("/v1/models/half:regress", json={"signature_name": "regress_x_to_y", "examples": [{"x": 80}]})
    assert reply.status_code == 400
    assert "Data types don't match" in reply.json()["error"]


def test_signatures_with_and_without_rows_live_in_one_model(served: Server) -> None:
    assert native(served, "new", {"inputs": {"x": [4.0]}}) == {"y": [4.0]}
    query = "?signature=regress_x2_to_y3"
    assert native(served, "new", {"inputs": [4.0]}, query) == {"outputs": [5.0]}
    regressed = rest(served, "new", {"signature_name": "regress_x_to_y", "examples": [{"x": 4.0}] * 3}, "regress")
    assert regressed == {"results": [4.0, 4.0, 4.0]}


def test_a_model_without_a_default_signature_says_which_one_it_is(served: Server) -> None:
    version = served.version("counter")
    assert version["details"]["default_signature"] == "get_counter: the model has no serving_default"
    assert sorted(version["signatures"]) == [
        "get_counter", "incr_counter", "incr_counter_by", "reset_counter", "serving_default",
    ]  # fmt: skip
    assert native(served, "counter", {"inputs": {"delta": 3.0}}, "?signature=incr_counter_by") == {"output": 3.0}
    assert native(served, "counter", {"inputs": {}}) == {"output": 3.0}
    metadata = served.get("/v1/models/counter/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert sorted(metadata) == ["get_counter", "incr_counter", "incr_counter_by", "reset_counter"]
    assert metadata["incr_counter_by"]["inputs"]["delta"]["tensor_shape"]["unknown_rank"] is True


def test_environments_were_inferred(served: Server) -> None:
    assert "runtime tensorflow" in served.printed
    assert served.version("half")["details"]["runtime"].startswith("tensorflow ")
    assert served.version("lite")["details"]["runtime"].startswith("ai-edge-litert ")
