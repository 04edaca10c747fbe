"""SavedModels of TensorFlow 1 and 2, opened where TensorFlow is: signatures, datatypes, shapes, and what is refused."""

from __future__ import annotations

import json
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from runtime_process import real_data, told_by
from saved_models import MAKE, OPEN

from framework_environments import framework_python, run_in
from prediction_logs import predict_log, record
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver_worker import frames
from salver_worker.tfrecords.replay import FILE_NAME

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module", params=["tensorflow-cpu", "tensorflow-cpu==2.15.*"], ids=["newest", "2.15"])
def python(request: pytest.FixtureRequest) -> str:
    """Of the newest TensorFlow, and of the last one before Keras 3 and NumPy 2."""
    if request.param != "tensorflow-cpu" and sys.version_info >= (3, 12):
        pytest.skip("NO TENSORFLOW 2.15: this Python is newer than it")
    return framework_python(request.param)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, python: str) -> Path:
    """The SavedModels, each in a folder of its name."""
    folder = tmp_path_factory.mktemp("made")
    run_in(python, MAKE, folder)
    return folder


@pytest.fixture(scope="module")
def told(made: Path, python: str) -> dict[str, Any]:
    """What the runtime told of them, and answered, in one process."""
    return told_by(python, OPEN, made, real_data() / "savedmodel")


def row(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def free(name: str, datatype: str) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [-1], "has_rank": False}


def test_every_signature_is_told_with_sorted_names(told) -> None:
    found = told["several"]
    assert (found["default"], found["rows"]) == ("serving_default", True)
    assert found["signature"]["inputs"] == [row("x", "FP32", -1, 2)]
    assert found["signature"]["outputs"] == [row("sum", "FP32", -1), row("y", "FP32", -1, 2)]
    words, whole = found["further"]["words"], found["further"]["whole"]
    assert words[0]["inputs"] == [row("a", "INT64", -1), row("b", "BYTES", -1)]
    assert words[0]["outputs"] == [row("length", "INT64", -1), row("upper", "BYTES", -1)]
    assert whole[0] == {"inputs": [row("x", "FP32", 3)], "outputs": [row("total", "FP32")], "ranking": None}
    assert "default_signature" not in found["details"]
    assert found["details"]["saved_with"].startswith("tensorflow 2.")


def test_rows_are_told_of_each_signature_by_itself(told) -> None:
    further = told["several"]["further"]
    assert {name: rows for name, (_, rows) in further.items()} == {
        "words": True, "whole": False, "anything": False, "lookup": True,
    }  # fmt: skip


def test_it_answers_what_tensorflow_itself_answers(told) -> None:
    assert told["same"] is True
    assert told["words"] == [["AB", "é"], [3, 4]]
    assert told["total"] == [3.0, [], "float32"]


def test_tables_are_filled_from_the_files_that_were_saved_with_the_model(told) -> None:
    assert told["table"] == [1, -1, 0]


def test_a_tensor_of_unknown_rank_may_have_any(told) -> None:
    signature = told["several"]["further"]["anything"][0]
    assert signature["inputs"] == [free("x", "FP32")]
    assert signature["outputs"] == [row("rank", "INT32"), free("same", "FP32")]
    assert told["ranks"] == [[0, []], [1, [2]], [2, [2, 3]]]


def test_an_input_that_an_operator_refuses_is_the_callers_error(told) -> None:
    assert told["outside"].startswith("the model refuses the input: indices[1] = 7 is not in [0, 2)")


def test_outputs_that_nobody_reads_are_not_computed(told) -> None:
    assert told["left out"] == [["sum"], ["sum"]]


def test_a_model_without_the_usual_default_has_another(told) -> None:
    found = told["unnamed"]
    assert found["default"] == "predict"
    assert found["details"]["default_signature"] == "predict: the model has no serving_default"
    assert sorted(found["further"]) == ["zeta"]


def test_every_datatype_keeps_its_values(told) -> None:
    assert told["unlike"] == []
    assert {each["name"]: each["datatype"] for each in told["kinds"]["signature"]["inputs"]} == {
        "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8",
        "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "float16": "FP16", "bfloat16": "BF16",
        "float32": "FP32", "float64": "FP64", "string": "BYTES",
    }  # fmt: skip


def test_signatures_that_cannot_be_asked_are_left_out_and_told(told) -> None:
    found = told["kinds"]
    assert found["further"] == {}
    assert found["details"]["signatures_left_out"] == "strange: z is of a datatype that does not travel (8)"
    assert "strange" in found["defs"]


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("strange", "has no signature that can be asked: serving_default: z is of a datatype", "dense tensors"),
        ("empty", "the SavedModel has no signature that can be asked", "tf.saved_model.save"),
        ("train", "no graph with the tag serve; the tags of its graphs are: train; other", "tag of serving"),
        ("cut", "the SavedModel's graph cannot be read", "may have been cut short"),
        ("foreign", "Op type not registered 'StringUpsie'", "requirements.txt"),
    ],
)
def test_what_cannot_be_served_is_refused_with_what_helps(told, name: str, message: str, fix: str) -> None:
    assert message in told[name][0]
    assert fix in told[name][1]


def test_the_graph_for_serving_is_taken_or_the_only_one(told) -> None:
    assert (told["mine"], told["both"]) == ([2.0], [2.0])


# Models of TensorFlow Serving's own tests


@pytest.mark.parametrize(
    ("name", "y"),
    [
        ("saved_model_half_plus_two_cpu", 4.0),
        ("saved_model_half_plus_two_tf2_cpu", 4.0),
        ("saved_model_half_plus_three", 5.0),
    ],
)
def test_models_of_both_generations_answer(told, name: str, y: float) -> None:
    found = told["real"][name]
    assert (found["y"], found["regression"]) == (y, y)
    assert found["no example"] == "the model refuses the input: Could not parse example input, value: 'abc'"


def test_examples_are_rows_of_text_whatever_the_placeholder_says(told) -> None:
    further = told["real"]["saved_model_half_plus_two_cpu"]["told"]["further"]
    signature, has_rows = further["regress_x_to_y"]
    assert (signature["inputs"], has_rows) == ([row("inputs", "BYTES", -1)], True)


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("saved_model_half_plus_two_2_versions", "saved_model_half_plus_two_2_versions_metadata.json"),
        ("saved_model_half_plus_two_tf2_cpu", "saved_model_half_plus_two_tf2_2_versions_metadata.json"),
    ],
)
def test_what_is_told_of_signatures_is_what_tensorflow_serving_tells(
    told, test_data: Path, model: str, file: str
) -> None:
    found = told["versions"] if model.endswith("2_versions") else told["real"][model]
    document = json.loads((test_data / "savedmodel" / file).read_text())
    expected = document["metadata"]["signature_def"]["signature_def"]
    for name, definition in expected.items():
        assert parsed(found["defs"][name]) == parsed(definition), name
    assert sorted(found["defs"]) == sorted(expected)


def parsed(definition: dict[str, Any]) -> Any:
    """As the message. The files were written before there were defaults of inputs, which one of the models has."""
    message = tfs.SignatureDefMap()
    ParseDict({**definition, "defaults": {}}, message.signature_def["it"])
    return message


def test_a_model_that_keeps_a_state_is_asked_by_its_names(told) -> None:
    found = told["counter"]
    assert (found["default"], found["rows"], found["signature"]["inputs"]) == ("get_counter", False, [])
    assert sorted(found["further"]) == ["incr_counter", "incr_counter_by", "reset_counter"]
    assert found["further"]["incr_counter_by"][0]["inputs"] == [free("delta", "FP32")]
    assert told["counted"] == [0.0, 1.0, 4.0, 4.0]


# In a worker


def test_a_worker_answers_every_signature_and_replays_what_was_recorded_for_each(
    driver: Any, made: Path, python: str, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made / "several", tmp_path / "several"))
    lookup = predict_log("ids", struct.pack("<2i", 0, 1), dtype=3, shape=(2,), signature="lookup")
    default = predict_log("x", struct.pack("<2f", 1, 2), dtype=1, shape=(1, 2))
    place = folder / FILE_NAME
    place.parent.mkdir()
    place.write_bytes(record(lookup) + record(default))
    with driver.WorkerProcess(tmp_path, python=python) as worker:
        answer = worker.load("tensorflow", folder)
        assert answer.verb == frames.READY, (answer.header, worker.log)
        assert sorted(answer.header["signatures"]) == ["anything", "lookup", "serving_default", "whole", "words"]
        assert answer.header["unbatched"] == ["anything", "whole"]
        assert answer.header["signature_defs"]["words"]["method_name"] == "tensorflow/serving/predict"
        link = worker.attach()
        found = link.predict(driver.tensor("ids", [1, 0], "INT32"), signature="lookup")
        assert found.arrays["found"].tolist() == [20.0, 10.0]
        total = link.predict(driver.tensor("x", [1.0, 2.0, 3.0], "FP32"), signature="whole")
        assert total.arrays["total"].tolist() == 6.0
        doubled = link.predict(driver.tensor("x", [[1.0, 2.0]], "FP32"))
        assert doubled.arrays["y"].tolist() == [[2.0, 4.0]]
        outside = link.predict(driver.tensor("ids", [7], "INT32"), signature="lookup")
        assert (outside.verb, outside.header["code"]) == (frames.ERROR, "INVALID_INPUT")
        assert "is not in [0, 2)" in outside.header["message"]
    place.write_bytes(record(predict_log("ids", struct.pack("<i", 7), dtype=3, signature="lookup")))
    with driver.WorkerProcess(tmp_path, python=python) as worker:
        answer = worker.load("tensorflow", folder)
        assert answer.verb == frames.FAILED
        assert "record 1: the model refuses the request: the model refuses the input" in answer.header["message"]
