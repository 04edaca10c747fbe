"""PyTorch files in real workers: what each says of itself, what it answers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch_models import make_models, torch_python

from salver_worker import frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_models(tmp_path_factory.mktemp("torch"))


@pytest.fixture(scope="module")
def answers(models: Path) -> dict[str, Any]:
    return dict(np.load(models / "answers.npz"))


@pytest.fixture
def load(driver: Any, models: Path, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Loads a file in a worker of its own, which has the answer as `ready` and the model's `link`."""
    with ExitStack() as stack:

        def load(file: str, *, runtime_options: dict[str, Any] | None = None, **manifest: Any) -> Any:
            worker = stack.enter_context(driver.WorkerProcess(tmp_path, python=torch_python()))
            path = models / file
            manifest["runtime"] = runtime_options or {}
            answer = worker.load("torch", path, folder=str(path.parent), manifest=manifest)
            worker.ready = answer.header
            worker.signature = None
            if answer.verb == frames.READY:
                worker.signature = answer.header["signatures"]["serving_default"]
                worker.link = worker.attach()
            return worker

        yield load


def row(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def told(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """`[runtime]` of a model.toml that names the inputs."""
    return {"inputs": list(rows), **more}


def ask(worker: Any, driver: Any, datatype: str = "FP32", **inputs: Any) -> Any:
    answer = worker.link.predict(*[driver.tensor(name, value, datatype) for name, value in inputs.items()])
    assert answer.verb == frames.RESULT, answer.header
    return answer.arrays


def refusal(worker: Any, driver: Any, datatype: str = "FP32", **inputs: Any) -> str:
    answer = worker.link.predict(*[driver.tensor(name, value, datatype) for name, value in inputs.items()])
    assert (answer.verb, answer.header["code"]) == (frames.ERROR, "INVALID_INPUT"), answer.header
    return str(answer.header["message"])


EAGER = ["weights/net.pt", "checkpoint/net.pth", "old/net.pt", "safe/net.safetensors"]
NETS = ["script.pt", "traced.torchscript", "net.pt2", *EAGER]


@pytest.mark.parametrize("file", NETS)
def test_every_kind_of_file_gives_what_the_module_gives(
    load: Any, driver: Any, answers: dict[str, Any], file: str
) -> None:
    worker = load(file)
    assert worker.signature, worker.ready
    assert worker.signature["inputs"] == [row("x", "FP32", -1, 4)]
    assert worker.signature["outputs"] == [row("output", "FP32", -1, 3)]
    assert worker.ready["has_batch_dimension"] is True
    assert worker.ready["runtime_version"] == "PyTorch 2.13.0+cpu"
    assert worker.ready["details"]["device"] == "cpu"
    for rows in (1, 2, 6):
        assert ask(worker, driver, x=answers["x"][:rows])["output"] == pytest.approx(answers["y"][:rows], abs=1e-6)
    assert worker.stop() == 0
    assert worker.log == ""


def test_more_rows_than_a_program_takes_are_split(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker = load("bounded.pt2")
    assert worker.ready["has_batch_dimension"] is True
    assert ask(worker, driver, x=answers["x"])["output"] == pytest.approx(answers["y"], abs=1e-6)


def test_a_program_for_one_row_takes_one_row(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker = load("fixed.pt2")
    assert worker.ready["has_batch_dimension"] is False
    assert worker.signature["inputs"] == [row("x", "FP32", 1, 4)]
    assert ask(worker, driver, x=answers["x"][:1])["output"] == pytest.approx(answers["y"][:1], abs=1e-6)
    assert "must have the shape [1, 4]" in refusal(worker, driver, x=answers["x"])


def test_a_program_tells_all_of_its_inputs_and_outputs(load: Any, driver: Any) -> None:
    worker = load("two.pt2")
    assert worker.signature["inputs"] == [row(name, "FP32", -1, -1) for name in ("x", "scale", "shift")]
    assert worker.signature["outputs"] == [
        row("sum", "FP32", -1),
        row("parts_0", "FP32", -1, -1),
        row("parts_1", "INT64", -1),
    ]
    assert worker.ready["has_batch_dimension"] is True
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    found = ask(worker, driver, x=x, scale=2 + x, shift=x)
    assert found["sum"].tolist() == (x * (2 + x)).sum(1).tolist()
    assert found["parts_0"].tolist() == (x * (2 + x) + x).tolist()
    assert found["parts_1"].tolist() == [3, 3, 3]


def test_a_size_that_a_program_was_not_exported_for_is_the_callers_error(load: Any, driver: Any) -> None:
    worker = load("two.pt2")
    many, four, five = (np.ones((2, size)) for size in (9, 4, 5))
    message = refusal(worker, driver, x=many, scale=many, shift=many)
    assert message == "dimension 2 of the input x must be 3 to 8, not 9"
    message = refusal(worker, driver, x=four, scale=five, shift=four)
    assert message == "dimension 2 of the input scale must be 4, as another one is, not 5"


@pytest.mark.parametrize("file", ["table.pt2", "table.pt"])
def test_a_module_that_takes_a_table_is_fed_its_inputs(load: Any, driver: Any, file: str) -> None:
    a, b = row("a", "FP32", -1, 4), row("b", "FP32", -1, 4)
    worker = load(file) if file == "table.pt2" else load(file, runtime_options=told(a, b))
    first, second = (each["name"] for each in worker.signature["inputs"])
    values = {first: np.full((2, 4), 5.0), second: np.full((2, 4), 3.0)}
    assert ask(worker, driver, **values)["output"].tolist() == [[2.0] * 4] * 2


def test_a_convolution_tells_its_channels_and_leaves_the_picture_free(load: Any, driver: Any) -> None:
    worker = load("conv.pt")
    assert worker.signature["inputs"] == [row("image", "FP32", -1, 3, -1, -1)]
    assert worker.signature["outputs"] == [row("output_0", "FP32", -1, 2), row("output_1", "FP32", -1, 2, -1, -1)]
    assert ask(worker, driver, image=np.ones((2, 3, 9, 7)))["output_1"].shape == (2, 2, 7, 5)


def test_an_index_that_a_table_lacks_is_the_callers_error(load: Any, driver: Any) -> None:
    worker = load("words.pt")
    assert worker.signature["inputs"] == [row("ids", "INT64", -1, -1)]
    assert ask(worker, driver, "INT64", ids=[[1, 9]])["output"].shape == (1, 2)
    assert "no index of the table" in refusal(worker, driver, "INT64", ids=[[1, 10]])


def test_a_module_whose_rows_depend_on_each_other_says_so(load: Any) -> None:
    ready = load("mixing.pt").ready
    assert ready["has_batch_dimension"] is False
    assert ready["details"]["rows"] == "what a row gets depends on the others of its request"


def test_a_module_that_nothing_tells_the_inputs_of_is_refused_with_what_to_write(load: Any) -> None:
    failed = load("loose.pt").ready
    assert "does not say of what datatype and shape the model's inputs are (x)" in failed["message"]
    assert 'inputs = [{ name = "x", datatype = "FP32", shape = [-1, 4] }]' in failed["fix"]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"runtime_options": told(row("x", "INT32", -1, 2))}, row("x", "INT32", -1, 2)),
        ({"example": {"inputs": {"x": [[1.0, 2.0, 3.0]]}}}, row("x", "FP32", -1, 3)),
        ({"runtime_options": told(row("INPUT__0", "FP64", -1))}, row("INPUT__0", "FP64", -1)),
    ],
    ids=["told", "example", "place"],
)
def test_who_knows_the_inputs_says_them(load: Any, changes: dict[str, Any], found: dict[str, Any]) -> None:
    worker = load("loose.pt", **changes)
    assert worker.signature["inputs"] == [found]
    assert worker.signature["outputs"] == [{**found, "name": "output"}]


def test_tritons_file_names_inputs_and_outputs_by_their_place(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    declared = {
        "file": "config.pbtxt",
        "inputs": [row("INPUT__0", "FP32", 4)],
        "outputs": [row("OUTPUT__0", "FP32", 3)],
        "has_rows": True,
    }
    worker = load("script.pt", declared=declared)
    assert worker.signature["inputs"] == [row("INPUT__0", "FP32", -1, 4)]
    assert worker.signature["outputs"] == [row("OUTPUT__0", "FP32", -1, 3)]
    assert ask(worker, driver, INPUT__0=answers["x"])["OUTPUT__0"] == pytest.approx(answers["y"], abs=1e-6)


def test_bf16_goes_in_and_comes_out_as_bf16(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker = load("half.pt")
    assert worker.signature["inputs"] == [row("x", "BF16", -1, 4)]
    assert worker.signature["outputs"] == [row("output", "BF16", -1, 3)]
    bits = (answers["x"].view(np.uint32) + 0x8000 >> 16).astype(np.uint16)
    found = ask(worker, driver, "BF16", x=bits)["output"].astype(np.uint32) << 16
    assert found.view(np.float32) == pytest.approx(answers["half"], rel=0.02, abs=0.01)


def test_the_arguments_of_a_class_come_from_config_json_or_model_toml(load: Any) -> None:
    assert load("wide/net.safetensors").signature["inputs"] == [row("x", "FP32", -1, 7)]
    assert load("wide/net.safetensors", runtime_options={"arguments": {"width": 7}, "class": "Net"}).signature
    failed = load("wide/net.safetensors", runtime_options={"arguments": {"width": 4}}).ready
    assert "the weights do not fit Net" in failed["message"]
    failed = load("wide/net.safetensors", runtime_options={"arguments": {"depth": 4}}).ready
    assert "Net cannot be made: TypeError" in failed["message"]


def test_a_whole_pickled_module_is_opened_only_when_told(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    failed = load("whole/net.pt").ready
    assert "opening it runs code that is in it" in failed["message"]
    assert "whole_pickle = true" in failed["fix"]
    worker = load("whole/net.pt", runtime_options={"whole_pickle": True})
    assert worker.ready["details"]["format"] == "pickled module"
    assert ask(worker, driver, x=answers["x"])["output"] == pytest.approx(answers["y"], abs=1e-6)
    worker = load("standard/net.pt", runtime_options={"whole_pickle": True})
    assert worker.signature["inputs"] == [row("input", "FP32", -1, 4)]


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("script.pt", {"devise": "cpu"}, "the runtime torch has no option `devise`; did you mean `device`?"),
        ("script.pt", {"device": "tpu"}, "`runtime.device` is 'tpu'"),
        ("script.pt", {"device": 1}, "`runtime.device` must be text"),
        ("script.pt", told(row("z", "FP32", -1, 4)), "the model has no input z; its `forward` takes: x"),
        ("script.pt", told(row("x", "BYTES", -1)), "the datatype BYTES of the input x is none of BOOL"),
        ("script.pt", {"inputs": ["x"]}, "`runtime.inputs` must be a list as"),
        ("script.pt", {"outputs": "y"}, "`runtime.outputs` must be a list of names"),
        ("net.pt2", told(row("x", "FP32", -1, 4)), "the file says what its inputs are"),
        ("number.pt", {}, "the argument times of the model's `forward` is a int, which no request can hold"),
        ("weights/net.pt", {"class": "Nest"}, "model.py has no module Nest"),
        ("weights/net.pt", {"module": "other.py"}, "there is no file other.py in the model's folder"),
        ("weights/net.pt", {"module": "../model.py"}, "there is no file ../model.py in the model's folder"),
    ],
)
def test_what_is_wrong_in_the_options_is_told(load: Any, file: str, options: dict[str, Any], said: str) -> None:
    failed = load(file, runtime_options=options).ready
    assert said in failed["message"]
    assert failed["fix"]


def test_a_device_that_is_not_there_is_no_reason_to_fail(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker = load("script.pt", runtime_options={"device": "cuda:7"})
    assert worker.ready["details"]["device"] == "cpu"
    assert "the device cuda:7 is not there" in worker.log
    assert ask(worker, driver, x=answers["x"])["output"] == pytest.approx(answers["y"], abs=1e-6)


def test_outputs_are_called_as_somebody_says(load: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker = load("net.pt2", runtime_options={"outputs": ["scores"]})
    assert worker.signature["outputs"] == [row("scores", "FP32", -1, 3)]
    assert ask(worker, driver, x=answers["x"])["scores"] == pytest.approx(answers["y"], abs=1e-6)
