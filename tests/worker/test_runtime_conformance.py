"""What every runtime must do, in a real worker over real sockets. A new runtime adds one row to CASES."""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from salver_worker import frames
from salver_worker.runtimes.specs import SPECS, spec_named

Ask = Callable[[Any, Any, int], Any]


class Case(NamedTuple):
    """One runtime: how to make a model of it, how to ask for rows, and questions that it must refuse."""

    build: Callable[[Path], Path]
    ask: Ask
    rows: Callable[[Any], int]
    refused: dict[str, tuple[Ask, str]]


def build_echo(folder: Path) -> Path:
    path = folder / "any.echo"
    path.touch()
    return path


def build_function(folder: Path) -> Path:
    path = folder / "app.py"
    path.write_text(
        "def predict(x):\n    if (x == 666).any():\n        raise ValueError('poison')\n    return x.sum(axis=1)"
    )
    return path


def build_sklearn(folder: Path) -> Path:
    import joblib
    from sklearn.linear_model import LogisticRegression

    x = np.array([[0.0, 0.0], [1.0, 1.0]] * 3)
    path = folder / "model.joblib"
    joblib.dump(LogisticRegression().fit(x, [0, 1] * 3), path)
    return path


def build_onnx(folder: Path) -> Path:
    import onnx
    from onnx import TensorProto, helper

    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", infos[:1], infos[1:])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def build_mar(folder: Path) -> Path:
    source = """
def handle(data, context):
    if data is None:
        return
    if any(row["body"] == 666 for row in data):
        raise ValueError("poison")
    return [row["body"] for row in data]
"""
    (folder / "MAR-INF").mkdir()
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"model": {"handler": "service"}}))
    (folder / "service.py").write_text(source)
    return folder


def ask_tensors(datatype: str, columns: int = 2, name: str = "x", value: float = 1.0) -> Ask:
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full((rows, columns), value), datatype))


def ask_bodies(data: bytes) -> Ask:
    return lambda link, driver, rows: link.ask(*[[("body", "application/json", data)]] * rows)


def tensor_rows(answer: Any) -> int:
    counts = {array.shape[0] for array in answer.arrays.values()}
    assert len(counts) == 1
    return int(counts.pop())


def body_rows(answer: Any) -> int:
    return len(answer.responses)


def refused(right: str, wrong: str) -> dict[str, tuple[Ask, str]]:
    return {
        "datatype": (ask_tensors(wrong), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [1.0], right)), "INVALID_INPUT"),
        "name": (ask_tensors(right, name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    }


CASES = {
    "echo": Case(build_echo, ask_tensors("FP32"), tensor_rows, refused("FP32", "FP64")),
    "function": Case(
        build_function,
        ask_tensors("FP64"),
        tensor_rows,
        {**refused("FP64", "BYTES"), "poison": (ask_tensors("FP64", value=666), "MODEL_ERROR")},
    ),
    "sklearn": Case(
        build_sklearn,
        ask_tensors("FP64"),
        tensor_rows,
        {
            **refused("FP64", "BYTES"),
            "shape": (ask_tensors("FP64", columns=3), "INVALID_INPUT"),
            "poison": (ask_tensors("FP64", value=np.nan), "INVALID_INPUT"),
        },
    ),
    "onnx": Case(
        build_onnx,
        ask_tensors("FP32"),
        tensor_rows,
        {**refused("FP32", "FP64"), "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT")},
    ),
    "mar": Case(
        build_mar,
        ask_bodies(b"1"),
        body_rows,
        {"poison": (ask_bodies(b"666"), "MODEL_ERROR"), "content": (ask_bodies(b"{"), "INVALID_INPUT")},
    ),
}
REFUSALS = [(name, kind) for name, case in CASES.items() for kind in case.refused]


def start(name: str, driver: Any, folder: Path, stack: ExitStack) -> Any:
    """A worker that has loaded the named case's model; `ready` is READY's header."""
    worker = stack.enter_context(driver.WorkerProcess(folder))
    answer = worker.load(name, CASES[name].build(folder))
    assert answer.verb == frames.READY, answer.header
    worker.ready = answer.header
    return worker


@pytest.fixture(scope="module")
def serve(driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """One worker for each case, shared by the tests that leave it alive."""
    with ExitStack() as stack:
        yield functools.cache(lambda name: start(name, driver, tmp_path_factory.mktemp(name), stack))


@pytest.fixture
def serve_alone(driver: Any, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """A worker of one's own, to be ended."""
    with ExitStack() as stack:
        yield lambda name: start(name, driver, tmp_path, stack)


def test_every_runtime_has_a_case() -> None:
    assert [spec.name for spec in SPECS] == list(CASES)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_row_is_complete_and_its_module_is_there(spec: Any) -> None:
    assert importlib.util.find_spec(spec.module) is not None
    assert spec_named(spec.name) is spec
    assert spec.trust in ("data", "code")
    assert spec.payload in ("tensors", "body")
    assert spec.extensions or spec.markers
    assert spec.label


def test_a_name_that_no_runtime_has_is_not_found() -> None:
    assert spec_named("nothing") is None


@pytest.mark.parametrize("name", CASES)
def test_ready_describes_the_model(serve: Any, name: str) -> None:
    ready, spec = serve(name).ready, spec_named(name)
    assert spec is not None
    assert set(ready) == {
        "signatures",
        "payload",
        "runtime_version",
        "python",
        "has_batch_dimension",
        "is_idempotent",
        "gives_parts",
        "rss",
        "load_s",
        "example_s",
        "details",
    }
    assert (ready["payload"], ready["is_idempotent"]) == (spec.payload, spec.is_idempotent)
    assert ready["has_batch_dimension"] is (spec.payload == "tensors")
    assert ready["runtime_version"]
    for row in ready["signatures"]["serving_default"]["inputs"]:
        assert set(row) == {"name", "datatype", "shape"}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_rows_in_are_rows_out(serve: Any, driver: Any, name: str, rows: int) -> None:
    link, case = serve(name).attach(), CASES[name]
    for _ in range(3):
        answer = case.ask(link, driver, rows)
        assert answer.verb == frames.RESULT, answer.header
        assert case.rows(answer) == rows


@pytest.mark.parametrize("name", CASES)
def test_outputs_are_those_of_the_signature(serve: Any, driver: Any, name: str) -> None:
    worker = serve(name)
    declared = worker.ready["signatures"]["serving_default"]["outputs"]
    answer = CASES[name].ask(worker.attach(), driver, 2)
    if declared:
        assert [(row["name"], row["datatype"]) for row in declared] == [
            (row[0], row[1]) for row in answer.header["tensors"]
        ]
        for want, (_, _, shape, _) in zip(declared, answer.header["tensors"], strict=True):
            assert len(want["shape"]) == len(shape)


@pytest.mark.parametrize(("name", "kind"), REFUSALS)
def test_a_question_that_fails_costs_nothing_but_its_answer(serve: Any, driver: Any, name: str, kind: str) -> None:
    link, case = serve(name).attach(), CASES[name]
    ask, code = case.refused[kind]
    for rows in (1, 3):
        answer = ask(link, driver, rows)
        assert (answer.verb, answer.header.get("code")) == (frames.ERROR, code)
        assert set(answer.header) <= {"code", "message", "exception", "detail", "status"}
        assert "Traceback" not in answer.header["message"]
        assert case.rows(case.ask(link, driver, rows)) == rows


@pytest.mark.parametrize("name", CASES)
def test_several_front_ends_get_their_own_answers(serve: Any, driver: Any, name: str) -> None:
    worker, case = serve(name), CASES[name]
    for rows, link in enumerate([worker.attach(number) for number in range(3)], start=1):
        assert case.rows(case.ask(link, driver, rows)) == rows


@pytest.mark.parametrize("name", [name for name in CASES if name != "mar"])
def test_tensors_may_lie_in_a_slab(serve: Any, driver: Any, name: str) -> None:
    worker = serve(name)
    row = worker.ready["signatures"]["serving_default"]["inputs"][0]
    link = worker.attach(slab_bytes=1 << 16)
    plain = driver.tensor("x", [[1, 2], [3, 4]], row["datatype"])
    expected = link.predict(plain)
    answer = link.predict(link.put_in_slab(plain, 4096))
    assert answer.verb == frames.RESULT
    assert answer.body == expected.body


@pytest.mark.parametrize("name", CASES)
def test_it_stops_with_status_0_and_says_nothing(serve_alone: Any, driver: Any, name: str) -> None:
    worker = serve_alone(name)
    CASES[name].ask(worker.attach(), driver, 1)
    assert worker.stop() == 0
    assert worker.log == ""


@pytest.mark.parametrize("name", CASES)
def test_it_ends_with_the_control_link(serve_alone: Any, name: str) -> None:
    worker = serve_alone(name)
    worker.control.close()
    assert worker.wait() == 0
