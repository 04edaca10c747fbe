"""What every runtime must do, in a real worker over real sockets. A new runtime adds one file to the folder `cases`."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from runtime_cases import all_cases, variables_of

from framework_environments import framework_python
from salver_worker import frames
from salver_worker.runtimes.specs import SPECS, spec_named

BUILT_S = 1200
WARM_ASKS, ASKS = 50, 300
MOST_GROWTH = 8 * 1024 * 1024
"""Of resident memory, in bytes. To lose the data of each request would cost more: `many` rows of 8 bytes at least."""
GONE_S = 30.0
CASES = all_cases()


def marked(name: str, *more: str) -> Any:
    """A parameter of the tests; slow where an environment has to be built first."""
    marks = (pytest.mark.slow, pytest.mark.timeout(BUILT_S)) if CASES[name].requirements else ()
    return pytest.param(name, *more, marks=marks, id="-".join((name, *more)))


NAMES = [marked(name) for name in CASES]
TENSOR_NAMES = [marked(spec.name) for spec in SPECS if spec.payload == "tensors" and spec.name in CASES]
REFUSALS = [marked(name, kind) for name, case in CASES.items() for kind in case.refused]


def start(name: str, driver: Any, folder: Path, stack: ExitStack) -> Any:
    """A worker that has loaded the named case's model; `ready` is READY's header."""
    case = CASES[name]
    python = framework_python(*case.requirements, series=case.series) if case.requirements else None
    path = case.build(folder, python or sys.executable)
    worker = stack.enter_context(driver.WorkerProcess(folder, python, variables_of(case), case.command(folder)))
    answer = worker.load(name, path)
    assert answer.verb == frames.READY, (answer.header, worker.log)
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
    assert {spec.name for spec in SPECS} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_a_question_that_fails_inside_the_library(name: str) -> None:
    assert "poison" in CASES[name].refused


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_row_is_complete_and_its_module_is_there(spec: Any) -> None:
    assert not spec.module or importlib.util.find_spec(spec.module) is not None
    assert spec_named(spec.name) is spec
    assert spec.trust in ("data", "code")
    assert spec.payload in ("tensors", "body")
    assert spec.extensions or spec.markers
    assert spec.label


def test_a_name_that_no_runtime_has_is_not_found() -> None:
    assert spec_named("nothing") is None


@pytest.mark.parametrize("name", NAMES)
def test_ready_describes_the_model(serve: Any, name: str) -> None:
    ready, spec = serve(name).ready, spec_named(name)
    assert spec is not None
    assert set(ready) - {"unbatched", "signature_defs", "gives_parts"} == {
        "signatures",
        "payload",
        "runtime_version",
        "python",
        "has_batch_dimension",
        "is_idempotent",
        "rss",
        "load_s",
        "example_s",
        "details",
    }
    if spec.module:
        assert (ready["payload"], ready["is_idempotent"]) == (spec.payload, spec.is_idempotent)
    assert ready["has_batch_dimension"] is (spec.payload == "tensors")
    assert ready["runtime_version"]
    for row in ready["signatures"]["serving_default"]["inputs"]:
        assert set(row) == {"name", "datatype", "shape"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rows", [1, 3, 64])
def test_rows_in_are_rows_out(serve: Any, driver: Any, name: str, rows: int) -> None:
    link, case = serve(name).attach(), CASES[name]
    for _ in range(3):
        answer = case.ask(link, driver, rows)
        assert answer.verb == frames.RESULT, answer.header
        assert case.rows(answer) == rows


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_several_front_ends_get_their_own_answers(serve: Any, driver: Any, name: str) -> None:
    worker, case = serve(name), CASES[name]
    for rows, link in enumerate([worker.attach(number) for number in range(3)], start=1):
        assert case.rows(case.ask(link, driver, rows)) == rows


@pytest.mark.parametrize("name", TENSOR_NAMES)
def test_tensors_may_lie_in_a_slab(serve: Any, driver: Any, name: str) -> None:
    worker = serve(name)
    row = worker.ready["signatures"]["serving_default"]["inputs"][0]
    link = worker.attach(slab_bytes=1 << 16)
    plain = driver.tensor(CASES[name].input, CASES[name].slab_values, row["datatype"])
    expected = link.predict(plain)
    answer = link.predict(link.put_in_slab(plain, 4096))
    assert answer.verb == frames.RESULT
    assert answer.body == expected.body


@pytest.mark.parametrize("name", NAMES)
def test_it_stops_with_status_0_and_says_nothing(serve_alone: Any, driver: Any, name: str) -> None:
    worker = serve_alone(name)
    CASES[name].ask(worker.attach(), driver, 1)
    assert worker.stop() == 0
    says = CASES[name].says
    assert [line for line in worker.log.splitlines() if not (says and re.match(says, line))] == []


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_returned_and_no_process_is_left(serve_alone: Any, driver: Any, name: str) -> None:
    worker, case = serve_alone(name), CASES[name]
    link = worker.attach()

    def resident_after(asks: int) -> int:
        for _ in range(asks):
            assert case.rows(case.ask(link, driver, case.many)) == case.many
        return int(worker.ping()["rss"])

    before = resident_after(WARM_ASKS)
    assert resident_after(ASKS) - before < MOST_GROWTH
    assert worker.stop() == 0
    wait_until_gone(worker.process.pid)


def wait_until_gone(group: int) -> None:
    """Returns when no process of the group is left: a runtime may have a program of its own."""
    deadline = time.monotonic() + GONE_S
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    pytest.fail("a process of the worker outlives it")


@pytest.mark.parametrize("name", NAMES)
def test_it_ends_with_the_control_link(serve_alone: Any, name: str) -> None:
    worker = serve_alone(name)
    worker.control.close()
    assert worker.wait() == 0
