"""Python files as models, in real workers: which function is meant, where it runs, and how its failures are told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver_worker import frames

Serve = Callable[..., Any]
ONE = [[1.0, 2.0]]


def ask(worker: Any, driver: Any, values: Any = ONE, datatype: str = "FP64", **parameters: Any) -> Any:
    return worker.attach().predict(driver.tensor("x", values, datatype), **parameters)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("def predict(x): return x\ndef other(x): return x", "predict"),
        ("from json import dumps\ndef classify(x): return x\ndef _private(x): return x", "classify"),
        ("class Model:\n    def predict(self, x): return x\nclass Other: pass", "Model"),
        ("class Model:\n    def predict(self, x): return x\ndef helper(x): return x\ndef other(x): return x", "Model"),
        ("class Model:\n    def __call__(self, x): return x\npredict = Model()", "predict"),
        ("async def predict(x): return x", "predict"),
    ],
)
def test_the_function_that_is_meant_is_found(serve_function: Serve, driver: Any, source: str, name: str) -> None:
    worker = serve_function(source)
    assert worker.ready["details"]["function"] == f"app.py:{name}"
    assert ask(worker, driver).arrays["output"].tolist() == ONE


@pytest.mark.parametrize("changes", [{"function": "second"}, {"handler": "app.py:second"}])
def test_a_function_may_be_named(serve_function: Serve, driver: Any, changes: dict[str, Any]) -> None:
    worker = serve_function("def predict(x): return x\ndef second(x): return -x", **changes)
    assert ask(worker, driver).arrays["output"].tolist() == [[-1.0, -2.0]]


def test_a_function_may_be_named_in_the_path(start_worker: Serve, driver: Any, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def first(x): return x\ndef second(x): return -x")
    worker = start_worker()
    assert worker.load("function", f"{tmp_path}/app.py:second").verb == frames.READY
    assert ask(worker, driver).arrays["output"].tolist() == [[-1.0, -2.0]]


def test_a_class_is_made_and_loaded_once(serve_function: Serve, driver: Any) -> None:
    worker = serve_function(
        """
        class Model:
            SIGNATURE = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}
            def load(self):
                self.loads = getattr(self, "loads", 0) + 1
            def predict(self, x):
                return {"loads": [self.loads] * len(x)}
        """
    )
    assert worker.signature["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    for _ in range(2):
        assert ask(worker, driver, datatype="FP32").arrays["loads"].tolist() == [1]


def test_a_model_runs_in_its_own_folder_and_imports_from_it(serve_function: Serve, driver: Any, tmp_path: Path) -> None:
    (tmp_path / "weights.txt").write_text("3")
    (tmp_path / "beside.py").write_text("def scale(x, by): return x * by")
    worker = serve_function(
        """
        from beside import scale
        by = float(open("weights.txt").read())
        def predict(x):
            return scale(x, by)
        """
    )
    assert ask(worker, driver).arrays["output"].tolist() == [[3.0, 6.0]]


def test_a_file_named_like_a_module_that_is_in_use_hides_nothing(
    start_worker: Serve, driver: Any, tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text("def predict(x): return x")
    worker = start_worker()
    assert worker.load("function", tmp_path / "json.py").verb == frames.READY
    assert ask(worker, driver).arrays["output"].tolist() == ONE


def test_functions_know_how_much_time_is_left(serve_function: Serve, driver: Any) -> None:
    worker = serve_function(
        """
        from salver_worker import request
        def predict(x):
            left = request.remaining_s()
            return [-1.0 if left is None else left] * len(x)
        """
    )
    link = worker.attach()
    (left,) = link.predict(driver.tensor("x", ONE, "FP64"), deadline_ms=60_000).arrays["output"]
    assert 50 < left < 60
    assert link.predict(driver.tensor("x", ONE, "FP64")).arrays["output"].tolist() == [-1.0]


def test_an_input_error_reaches_the_caller_and_other_errors_do_not(serve_function: Serve, driver: Any) -> None:
    worker = serve_function(
        """
        from salver_worker import InputError
        def predict(age: float, city: str = "Oslo") -> float:
            if age < 0:
                raise InputError("age must not be negative")
            if age > 200:
                raise ValueError("the secret of the database")
            return age
        """
    )
    link = worker.attach()
    negative = link.predict(driver.tensor("age", [1, -1], "FP64")).header
    assert (negative["code"], negative["message"]) == ("INVALID_INPUT", "age must not be negative")
    broken = link.predict(driver.tensor("age", [201], "FP64")).header
    assert (broken["code"], broken["message"]) == ("MODEL_ERROR", "the model failed to predict")
    assert "the secret of the database" in broken["detail"]
    assert link.predict(driver.tensor("age", [1], "FP64")).arrays["output"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("raise MemoryError", "OUT_OF_MEMORY"),
        ("raise SystemExit(1)", "MODEL_ERROR"),
        ("predict(x)", "MODEL_ERROR"),  # a recursion without end
        ("return None", "OUTPUT_INVALID"),
        ("return {'output': [object()]}", "OUTPUT_INVALID"),
        ("import datetime; import numpy; return numpy.zeros(1, 'M8[s]')", "OUTPUT_INVALID"),
    ],
)
def test_a_worker_survives_what_its_model_does(serve_function: Serve, driver: Any, statement: str, code: str) -> None:
    worker = serve_function(f"def predict(x):\n    if x[0, 0] == 0:\n        {statement}\n    return x")
    link = worker.attach()
    assert link.predict(driver.tensor("x", [[0.0]], "FP64")).header["code"] == code
    assert link.predict(driver.tensor("x", ONE, "FP64")).arrays["output"].tolist() == ONE


def test_a_model_that_kills_its_process_closes_the_link(serve_function: Serve, driver: Any) -> None:
    worker = serve_function("import os\ndef predict(x):\n    os._exit(9)")
    with pytest.raises((EOFError, ConnectionResetError)):
        ask(worker, driver)
    assert worker.wait() == 9


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("import nowhere_at_all\ndef predict(x): return x", "ENVIRONMENT_BROKEN", "the module nowhere_at_all"),
        ("def predict(x:", "LOAD_FAILED", "loading raised"),
        ("def a(x): ...\ndef b(x): ...", "LOAD_FAILED", "app.py has no `predict`, and not exactly one function"),
        ("", "LOAD_FAILED", "app.py has no `predict`"),
        ("predict = 5", "LOAD_FAILED", "predict is neither a function nor has it a method"),
        ("class predict: pass", "LOAD_FAILED", "predict is neither a function nor has it a method"),
        (
            "class predict:\n    def __init__(self): raise OSError('no disk')",
            "LOAD_FAILED",
            "loading raised OSError: no disk",
        ),
    ],
)
def test_a_file_that_cannot_be_served_says_why(refuse_function: Serve, source: str, code: str, message: str) -> None:
    header = refuse_function(source)
    assert header["code"] == code
    assert header["message"].startswith(message)


def test_a_name_that_is_not_there_is_told(refuse_function: Serve) -> None:
    assert refuse_function("def predict(x): ...", function="nope")["message"] == "there is no nope in app.py"


def test_a_syntax_error_shows_its_line(refuse_function: Serve) -> None:
    message = refuse_function("def predict(x):\n    return x +")["message"]
    assert "line 2" in message
    assert "return x +" in message


def test_a_file_that_is_replaced_at_once_is_read_anew_and_nothing_is_written_beside_it(
    driver: Any, tmp_path: Path
) -> None:
    """Of the same size and time as the one before, which Python's cache of compiled files takes for the same."""
    answers = []
    for number in (1, 2):
        files = {"app.py": f"import own\ndef predict(x): return x * own.N + {number}", "own.py": f"N = {number}"}
        for name, text in files.items():
            (tmp_path / name).write_text(text)
            os.utime(tmp_path / name, (1e9, 1e9))
        with driver.WorkerProcess(tmp_path) as worker:
            answer = worker.load("function", tmp_path / "app.py")
            assert answer.verb == frames.READY, answer.header
            answers.append(ask(worker, driver).arrays["output"].tolist())
    assert answers == [[[2.0, 3.0]], [[4.0, 6.0]]]
    assert not (tmp_path / "__pycache__").exists()
