"""Workers for tests: real processes over real sockets."""

from __future__ import annotations

import importlib.util
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # the modules beside this file are imported by name


def _load_driver() -> ModuleType:
    name = "salver_test_driver"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("driver.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def driver() -> ModuleType:
    """The module with the driver's classes and its `tensor` builder."""
    return _load_driver()


@pytest.fixture
def start_worker(driver: ModuleType, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts a worker that has loaded nothing yet; all of them are killed at the end of the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(driver.WorkerProcess(tmp_path, **options))


@pytest.fixture
def echo(start_worker: Callable[..., Any], driver: ModuleType) -> Any:
    """A worker that serves the echo model."""
    worker = start_worker()
    assert worker.load("echo", "any.echo").verb == driver.frames.READY
    return worker


@pytest.fixture
def serve_function(start_worker: Callable[..., Any], driver: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Writes a Python file, loads it and gives the worker with READY's header as `ready`."""

    def serve(source: str, **changes: Any) -> Any:
        path = tmp_path / "app.py"
        path.write_text(textwrap.dedent(source))
        worker = start_worker()
        answer = worker.load("function", path, **changes)
        assert answer.verb == driver.frames.READY, answer.header
        worker.ready = answer.header
        worker.signature = answer.header["signatures"]["serving_default"]
        return worker

    return serve


@pytest.fixture
def refuse_function(start_worker: Callable[..., Any], driver: ModuleType, tmp_path: Path) -> Callable[..., Any]:
    """Writes a Python file that cannot be served and gives FAILED's header, once the worker has left with status 3."""

    def refuse(source: str, **changes: Any) -> Any:
        path = tmp_path / "app.py"
        path.write_text(textwrap.dedent(source))
        worker = start_worker()
        answer = worker.load("function", path, **changes)
        assert answer.verb == driver.frames.FAILED, answer.header
        assert worker.wait() == 3
        return answer.header

    return refuse


class Gate:
    """Two named pipes by which a test knows that a model has begun, and lets it go on.

    A model's code passes with ``open("entered", "w").close()`` and ``open("leave").close()``; each side waits for the
    other there, so nothing has to sleep.
    """

    def __init__(self, folder: Path) -> None:
        self._entered, self._leave = folder / "entered", folder / "leave"
        for pipe in (self._entered, self._leave):
            os.mkfifo(pipe)

    def wait(self) -> None:
        """Return when the model's code has come to `entered`."""
        self._entered.open().close()

    def open(self) -> None:
        """Let the model's code pass `leave`."""
        self._leave.open("w").close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def test_data() -> Path:
    """The folder of real models; skips where there is none."""
    named = os.environ.get("SALVER_TEST_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no test data: set SALVER_TEST_DATA to the folder that holds it")
    return folder
