"""TensorFlow Serving's own stubs with the real TensorFlow, in an environment of their own, against one server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from google.protobuf.json_format import ParseDict
from journey_formats import HANDLER_FUNCTION, archive, write_line
from journey_models import SEVEN, write_model
from journey_server import Server, eventually, serving

from salver.wire.protopool import POOL
from salver.wire.tfserving.pb import serving_pb2
from salver.wire.tfserving.pb import tensorflow_pb2 as tf_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CLIENT = Path(__file__).with_name("tensorflow_client.py")
PACKAGES = ("tensorflow-cpu==2.21.0", "grpcio>=1.74")
STUBS = "tensorflow-serving-api==2.21.0"
MIRROR = """
NAMES = ["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64"]
SPECS = [{"name": name, "datatype": name, "shape": [-1, 2]} for name in [*NAMES, "BYTES"]]
WIDE = {"name": "wide", "datatype": "FP32", "shape": [-1, 2]}
SIGNATURE = {"inputs": [*SPECS, {"name": "BF16", "datatype": "BF16", "shape": [-1, 2]}], "outputs": [*SPECS, WIDE]}

def predict(**inputs):
    wide = inputs.pop("BF16")
    return {**inputs, "wide": wide}
"""
PETS = """
SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
    "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
}

def predict(x):
    return {"scores": x}
"""
PETS_MANIFEST = """
[[outputs]]
reads = "scores"
convert = [{ top_k = { k = 2, labels = "labels.txt" } }]
"""
HALF_PLUS_TWO = """
SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1]}],
}

def predict(x):
    return {"y": x / 2 + 2}
"""


@pytest.fixture(scope="module")
def tensorflow(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter of an environment with TensorFlow; SALVER_TENSORFLOW names one that is there already."""
    ready = os.environ.get("SALVER_TENSORFLOW")
    if ready:
        return ready
    folder = tmp_path_factory.mktemp("tensorflow") / "env"
    python = str(folder / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    install = [*uv, "pip", "install", "--quiet", "--python", python]
    try:
        subprocess.run([*uv, "venv", "--quiet", str(folder)], check=True, timeout=60)
        subprocess.run([*install, *PACKAGES], check=True, timeout=600)
        subprocess.run([*install, "--no-deps", STUBS], check=True, timeout=120)
    except subprocess.SubprocessError as error:
        pytest.skip(f"NO TENSORFLOW: it cannot be installed here: {error}")
    return python


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tensorflow: str, test_data: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("served")
    half = shutil.copytree(test_data / "savedmodel" / "saved_model_half_plus_two_2_versions", folder / "half")
    half.chmod(0o755)
    (half / "model.toml").write_text(f"[environment]\npython = {json.dumps(tensorflow)}\n")
    pets = write_model(folder / "pets", PETS)
    (pets / "labels.txt").write_text("cat\ndog\nowl\n")
    (pets / "model.toml").write_text(PETS_MANIFEST)
    models = [
        write_model(folder / "mirror", MIRROR),
        pets,
        write_model(folder / "half_plus_two", HALF_PLUS_TWO),
        write_model(folder / "seven", SEVEN),
        archive(folder / "handler.mar", HANDLER_FUNCTION, "service:handle").path,
        folder / "line",
        half,
    ]
    for version, slope in ((1, 2.0), (2, 3.0)):
        write_line(folder / "line" / str(version) / "model.onnx", slope, 1.0)
    options = {"grpc_port": 0, "max_body_mb": 4, "watch_s": 60}
    with serving(*models, folder=folder, wait="announced", **options) as server:
        server.wait_ready(300)  # TensorFlow alone takes its time
        path = f"{server.url}/api/v1/models/line"
        requests.put(f"{path}/policy", json={"policy": "all"}, headers=server.admin, timeout=60).raise_for_status()
        requests.put(f"{path}/labels/canary", json={"version": 1}, headers=server.admin, timeout=60).raise_for_status()
        yield server


@pytest.fixture(scope="module")
def answered(served: Server, tensorflow: str) -> dict[str, Any]:
    """What the client's calls answered."""
    address = next(url for url in served.urls if url.startswith("grpc://")).removeprefix("grpc://")
    done = subprocess.run(
        [tensorflow, str(CLIENT), address],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, f"{done.stderr[-6000:]}\n{served.told()}"
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return document


def spec(name: str, version: int = 1, signature: str = "serving_default") -> dict[str, Any]:
    return {"name": name, "version": version, "label": "", "signature": signature}


@pytest.mark.parametrize("form", ["content", "fields"])
def test_every_datatype_goes_both_ways(answered, form) -> None:
    assert answered["predictions"][form] == {"wrong": [], "spec": spec("mirror")}


@pytest.mark.parametrize(
    ("way", "value", "version"),
    [("default", 4.0, 2), ("version", 3.0, 1), ("label", 3.0, 1), ("signature", 4.0, 2)],
)
def test_the_version_that_is_meant_answers_and_says_who_it_is(answered, way, value, version) -> None:
    assert answered["predictions"][way] == [[[value] * 4], spec("line", version)]


def test_a_value_that_is_sent_once_is_repeated(answered) -> None:
    assert answered["predictions"]["few values"] == 1
    assert answered["predictions"]["repeated"] == [[4.0] * 4] * 2


def test_only_the_outputs_that_are_asked_for_are_sent(answered) -> None:
    assert answered["predictions"]["filtered"] == ["BYTES", "FP32"]


def test_many_rows_at_once(answered) -> None:
    assert answered["predictions"]["large"] is True


def test_numbers_and_text_in_lists_of_one(answered) -> None:
    assert answered["predictions"]["one"] == [38]


def test_a_handler_gets_a_text_as_its_body(answered) -> None:
    text, found = answered["predictions"]["handler"]
    assert json.loads(text) == {"answer": 38, "words": "served with care"}
    assert found == spec("handler")


def test_examples_are_classified(answered) -> None:
    assert answered["examples"]["classes"] == [[["cat", 0.9], ["owl", 0.2]], [["owl", 0.7], ["dog", 0.2]]]
    assert answered["examples"]["classify spec"] == spec("pets")


def test_examples_with_a_context_become_numbers(answered) -> None:
    assert answered["examples"]["numbers"] == [3.0, 4.0]


def test_several_inferences_in_one_call(answered) -> None:
    assert answered["examples"]["multi"] == [["regression_result", 3.0, spec("half_plus_two")]]


def test_a_real_saved_model_answers_by_the_names_of_its_signatures(answered) -> None:
    found = answered["saved model"]
    assert found["predict"] == [[2.5], [3.0], [4.5]]
    assert found["named"] == [[3.5], [4.0], [5.5]]
    assert found["serialized"] == [[4.0]]
    assert (found["regress"], found["other"]) == ([2.5, 4.0], [3.5])
    assert found["classify"] == [[["", 3.0]], [["", 4.0]]]
    assert found["multi"] == [3.0, 3.0, ["regress_x_to_y", "classify_x_to_y"]]


def test_an_example_that_a_real_saved_model_refuses_is_the_callers_error(answered) -> None:
    code, text = answered["saved model"]["wrong kind"]
    assert code == "INVALID_ARGUMENT"
    assert "Data types don't match" in text


def test_metadata_of_a_real_saved_model_is_that_of_tensorflow_serving(
    answered, served: Server, test_data: Path
) -> None:
    document = json.loads((test_data / "savedmodel" / "saved_model_half_plus_two_2_versions_metadata.json").read_text())
    expected = document["metadata"]["signature_def"]["signature_def"]
    for name, definition in expected.items():
        told = tf_pb2.SignatureDef()
        ParseDict(answered["saved model"]["metadata"][name], told)
        assert told == ParseDict(definition, tf_pb2.SignatureDef()), name
    over_rest = served.get("/v1/models/half/versions/124/metadata").json()
    assert over_rest["metadata"]["signature_def"]["signature_def"] == expected


def test_what_is_wrong_with_examples_is_told_as_the_original_tells_it(answered) -> None:
    found = answered["examples"]
    kind = "Feature: x.  Data types don't match. Data type: int64 but expected type: float"
    missing = "Feature: x (data type: float) is required but could not be found."
    assert found["wrong kind"] == ["INVALID_ARGUMENT", kind]
    assert found["missing"] == ["INVALID_ARGUMENT", missing]
    assert found["empty"] == ["INVALID_ARGUMENT", "Input is empty."]
    assert found["no signature"] == ["INVALID_ARGUMENT", "No signature was found with the name: foo"]


def test_metadata_has_the_signatures(answered) -> None:
    found = answered["told"]
    assert found["type url"] == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    assert found["metadata spec"] == spec("line", 2, "")
    assert found["method"] == "tensorflow/serving/predict"
    assert found["inputs"] == {"x": ["float32", [-1, 4], "x:0"]}
    assert found["outputs"] == ["y"]
    no_field = "GetModelMetadataRequest must specify at least one metadata_field"
    assert found["no field"] == ["INVALID_ARGUMENT", no_field]
    assert found["other field"] == ["INVALID_ARGUMENT", "Metadata field foo is not supported"]


def test_the_status_of_all_versions(answered) -> None:
    found = answered["told"]
    assert found["states"] == [[2, "AVAILABLE", 0], [1, "AVAILABLE", 0]]
    assert found["unknown version"] == ["NOT_FOUND", "Could not find version 7 of model line"]
    assert found["unknown model"] == ["NOT_FOUND", "Could not find any versions of model other"]


@pytest.mark.parametrize(
    ("case", "code", "text"),
    [
        ("unknown model", "NOT_FOUND", "Servable not found for request: Latest(other)"),
        ("unknown version", "NOT_FOUND", "Servable not found for request: Specific(line, 7)"),
        ("version 0", "NOT_FOUND", "Servable not found for request: Specific(line, 0)"),
        ("unknown label", "INVALID_ARGUMENT", "Unrecognized servable version label: L"),
        ("unknown signature", "FAILED_PRECONDITION", 'Serving signature key "foo" not found.'),
        ("no spec", "INVALID_ARGUMENT", "Missing ModelSpec"),
        ("no name", "INVALID_ARGUMENT", "ModelSpec has no name specified."),
        (
            "missing input",
            "INVALID_ARGUMENT",
            "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. Missing but required: {x}.",
        ),
        (
            "extra input",
            "INVALID_ARGUMENT",
            (
                "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. "
                "Missing but required: {}."
            ),
        ),
        (
            "wrong name",
            "INVALID_ARGUMENT",
            "input tensor alias not found in signature: z. Inputs expected to be in the set {x}.",
        ),
        ("wrong type", "INVALID_ARGUMENT", "Expects arg[0] to be float but double is provided"),
        ("wrong shape", "INVALID_ARGUMENT", "Input 'x' has the shape [1,3], the signature declares [-1,4]."),
        ("no rows", "INVALID_ARGUMENT", "A request must have at least one row."),
        ("unreadable", "INVALID_ARGUMENT", "tensor parsing error: x"),
        (
            "bad filter",
            "INVALID_ARGUMENT",
            "output tensor alias not found in signature: z Outputs expected to be in the set {y}.",
        ),
        ("double filter", "INVALID_ARGUMENT", "duplicate output tensor alias: y"),
        ("complex", "INVALID_ARGUMENT", "Expects arg[0] to be float but complex64 is provided"),
    ],
)
def test_what_is_wrong_is_told_as_the_original_tells_it(answered, case, code, text) -> None:
    assert answered["errors"][case] == [code, text]


@pytest.mark.parametrize(
    ("case", "code", "part"),
    [
        ("huge", "RESOURCE_EXHAUSTED", "above the limit of 4194304 bytes (--max-body-mb)"),
        ("too large", "RESOURCE_EXHAUSTED", "larger than max"),
        ("late", "DEADLINE_EXCEEDED", ""),
        ("failing", "INTERNAL", ""),
    ],
)
def test_limits_and_failures_have_their_codes(answered, case, code, part) -> None:
    found, text = answered["errors"][case]
    assert found == code
    assert part in text
    assert "secret" not in text


def test_a_call_that_was_cancelled_is_counted_as_that(answered, served) -> None:
    assert answered["errors"]["cancelled"] == ["CANCELLED"]
    eventually(lambda: predictions_ended_with(served, "DEADLINE_EXCEEDED") == 1, 10.0, "the late one is counted")


def predictions_ended_with(served: Server, code: str) -> float:
    return sum(
        value
        for series, value in served.metrics().items()
        if f'code="{code}"' in series and 'protocol="tfserving"' in series and "models.predict" in series
    )


def test_our_messages_have_the_numbers_of_the_real_ones(answered) -> None:
    real = answered["numbers"]
    assert serving_pb2.PredictRequest.DESCRIPTOR.file.pool is POOL
    compared = 0
    for name, fields in real.items():
        ours = None if name.startswith("google.") else found_in_pool(name)
        for field in () if ours is None else ours.fields:
            kind = field.message_type.full_name if field.message_type else ""
            assert fields[field.name] == [field.number, field.type, kind], f"{name}.{field.name}"
            compared += 1
    assert compared > 100
    for name in ("tensorflow.DataType", "tensorflow.serving.ModelVersionStatus.State", "tensorflow.error.Code"):
        values = {value.name: value.number for value in POOL.FindEnumTypeByName(name).values}
        assert values.items() <= real[name].items()


def found_in_pool(name: str) -> Any:
    """Our message of that name; None where it is left out, or an enum."""
    try:
        return POOL.FindMessageTypeByName(name)
    except KeyError:
        return None
