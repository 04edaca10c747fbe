"""A worker's life: how it starts, tells of itself, and ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver_worker import frames

Start = Callable[..., Any]
ENTER_AND_WAIT = """
    def predict(x):
        open("entered", "w").close()
        open("leave").close()
        return x
"""


@pytest.fixture
def loading(start_worker: Start, gate: Any, tmp_path: Path) -> Any:
    """A worker in the middle of loading."""
    path = tmp_path / "slow.py"
    path.write_text('open("entered", "w").close()\nopen("leave").close()\ndef predict(x): return x')
    worker = start_worker()
    header = {"protocol": 1, "model": "m", "version": 1, "runtime": "function", "path": str(path), "folder": "."}
    worker.control.send(frames.LOAD, 3, header)
    gate.wait()
    return worker


@pytest.fixture
def computing(serve_function: Start, driver: Any, gate: Any) -> tuple[Any, Any]:
    """A worker in the middle of a prediction, and the link that waits for it."""
    worker = serve_function(ENTER_AND_WAIT)
    link = worker.attach()
    link.send_predict(driver.tensor("x", [[1.0]], "FP64"))
    gate.wait()
    return worker, link


def test_ready_says_what_the_server_must_know(start_worker: Start) -> None:
    answer = start_worker().load("echo", "any.echo")
    assert answer.verb == frames.READY
    row = {"name": "x", "datatype": "FP32", "shape": [-1, -1]}
    expected = {
        "signatures": {"serving_default": {"inputs": [row], "outputs": [row], "ranking": None}},
        "payload": "tensors",
        "has_batch_dimension": True,
        "is_idempotent": True,
        "example_s": None,
        "details": {},
    }
    assert {key: answer.header[key] for key in expected} == expected
    assert answer.header["rss"] > 1_000_000
    assert answer.header["load_s"] >= 0
    assert answer.header["python"].count(".") == 2


def test_the_manifest_decides_whether_requests_may_be_repeated(start_worker: Start) -> None:
    assert start_worker().load("echo", "any.echo", idempotent=False).header["is_idempotent"] is False


def test_stop_ends_a_worker_with_status_0(echo: Any) -> None:
    assert echo.stop() == 0
    assert echo.log == ""


def test_stop_waits_for_what_runs(computing: tuple[Any, Any], gate: Any) -> None:
    worker, link = computing
    worker.control.send(frames.STOP)
    worker.ping()  # the control thread has seen STOP
    gate.open()
    assert link.receive().arrays["output"].tolist() == [[1.0]]
    assert worker.wait() == 0


def test_stop_answers_what_was_sent_before_it(echo: Any, driver: Any) -> None:
    links = [echo.attach(number) for number in range(3)]
    for link in links:
        link.predict(driver.tensor("x", [[0]], "FP32"))
    os.kill(echo.process.pid, signal.SIGSTOP)
    for link in links:
        link.send_predict(driver.tensor("x", [[link.number]], "FP32"))
    echo.control.send(frames.STOP)
    os.kill(echo.process.pid, signal.SIGCONT)
    assert [link.receive().arrays["x"].tolist() for link in links] == [[[0]], [[1]], [[2]]]
    assert echo.wait() == 0


def test_stop_closes_the_model(serve_function: Start, tmp_path: Path) -> None:
    worker = serve_function(
        """
        class Model:
            def predict(self, x):
                return x
            def close(self):
                open("closed", "w").close()
        """
    )
    assert worker.stop() == 0
    assert (tmp_path / "closed").exists()


def test_stop_while_loading_ends_the_worker_at_once(loading: Any) -> None:
    assert loading.stop() == 0


def test_the_end_of_the_control_link_ends_the_worker(echo: Any) -> None:
    echo.control.close()
    assert echo.wait() == 0


def test_the_end_of_the_control_link_ends_a_worker_that_computes(computing: tuple[Any, Any]) -> None:
    worker, _ = computing
    worker.control.close()
    assert worker.wait() == 0


def test_a_worker_dies_with_the_process_that_started_it(tmp_path: Path, driver: Any) -> None:
    source = """
        import importlib.util, os, signal, sys
        from pathlib import Path
        spec = importlib.util.spec_from_file_location("driver", sys.argv[1])
        driver = sys.modules["driver"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(driver)
        worker = driver.WorkerProcess(Path(sys.argv[2]))
        assert worker.load("echo", "any.echo").verb == driver.frames.READY
        keeper = os.fork()  # keeps the control link open, so that only its parent's death can end the worker
        if keeper:
            print(worker.process.pid, keeper, flush=True)
            sys.stdin.read()
            os._exit(0)
        signal.pause()
    """
    command = [sys.executable, "-c", textwrap.dedent(source), driver.__file__, str(tmp_path)]
    variables = {**os.environ, "PYTHONPATH": str(driver.SOURCE)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        worker, keeper = map(int, parent.stdout.readline().split())
        end = os.pidfd_open(worker)
        parent.stdin.close()
        parent.wait()
        try:
            assert select.select([end], [], [], 30)[0], "the worker outlived the process that started it"
        finally:
            os.close(end)
            os.kill(keeper, signal.SIGKILL)


def test_ctrl_c_in_the_servers_terminal_leaves_workers_alone(echo: Any, driver: Any) -> None:
    echo.process.send_signal(signal.SIGINT)
    assert echo.attach().predict(driver.tensor("x", [[1]], "FP32")).verb == frames.RESULT


def test_a_killed_worker_closes_its_links(echo: Any, driver: Any) -> None:
    link = echo.attach()
    link.predict(driver.tensor("x", [[1]], "FP32"))
    echo.process.kill()
    with pytest.raises((EOFError, ConnectionResetError)):
        link.receive()


def test_ping_is_answered_while_a_model_loads(loading: Any) -> None:
    assert loading.ping()["predictions"] == 0


def test_ping_is_answered_while_a_model_computes(computing: tuple[Any, Any]) -> None:
    worker, _ = computing
    first, second = worker.ping(), worker.ping()
    assert 0 < first["busy_s"] < second["busy_s"]
    assert second["rss"] > 1_000_000


def test_predictions_are_counted(echo: Any, driver: Any) -> None:
    link = echo.attach()
    link.predict(driver.tensor("x", [[1]], "FP32"))
    link.predict(driver.tensor("x", [1], "FP32"))
    status = echo.ping()
    assert (status["predictions"], status["busy_s"]) == (2, 0.0)


@pytest.mark.parametrize(
    ("runtime", "changes", "code", "message"),
    [
        ("tensorrt", {}, "MANIFEST_INVALID", "there is no runtime 'tensorrt'; there are: echo, "),
        ("echo", {"protocol": 2}, "ENVIRONMENT_BROKEN", "the server speaks protocol 2 and this worker 1"),
        ("function", {"path": "/nowhere/app.py"}, "LOAD_FAILED", "loading raised FileNotFoundError"),
        ("onnx", {"path": "/nowhere/model.onnx"}, "LOAD_FAILED", "loading raised NoSuchFile"),
    ],
)
def test_what_cannot_be_loaded_is_told_and_ends_the_worker_with_status_3(
    start_worker: Start, runtime: str, changes: dict[str, Any], code: str, message: str
) -> None:
    worker = start_worker()
    answer = worker.load(runtime, **changes)
    assert answer.verb == frames.FAILED
    assert answer.header["code"] == code
    assert answer.header["message"].startswith(message)
    assert worker.wait() == 3


def test_a_load_that_leaves_a_thread_behind_still_ends(refuse_function: Start) -> None:
    header = refuse_function(
        """
        import threading, time
        threading.Thread(target=time.sleep, args=(3600,)).start()
        raise RuntimeError("no weights")
        """
    )
    assert header["message"] == "loading raised RuntimeError: no weights"
    assert header["exception"] == "RuntimeError"
    assert "app.py" in header["traceback"]


def test_a_model_that_exits_while_it_loads_is_a_failed_load(refuse_function: Start) -> None:
    assert refuse_function("import sys; sys.exit(0)")["exception"] == "SystemExit"


def test_a_verb_of_another_link_ends_the_worker(echo: Any) -> None:
    echo.control.send(frames.PREDICT, 1, {})
    assert echo.wait() == 1
    assert "the verb 32 has no meaning on the control link" in echo.log


def test_what_a_model_prints_is_in_its_log_when_it_is_printed(serve_function: Start, driver: Any) -> None:
    worker = serve_function("def predict(x):\n    print('seen', x.shape)\n    return x")
    worker.attach().predict(driver.tensor("x", [[1.0]], "FP64"))
    assert "seen (1, 1)" in worker.log


def test_children_of_a_model_do_not_hold_the_links(serve_function: Start, driver: Any) -> None:
    worker = serve_function(
        """
        import os, subprocess, sys
        def predict(x):
            child = subprocess.run([sys.executable, "-c", "import os; print(os.listdir('/proc/self/fd'))"],
                                   stdout=subprocess.PIPE, close_fds=False, check=True)
            return {"sockets": [child.stdout.decode()]}
        """
    )
    link = worker.attach(slab_bytes=4096)
    (listed,) = link.predict(driver.tensor("x", [[1.0]], "FP64")).arrays["sockets"]
    assert eval(listed) == ["0", "1", "2", "3"]
