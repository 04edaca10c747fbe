"""The example program in C, where it goes beyond what the conformance suite asks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.executable import build_program

from salver_worker import frames


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_program(tmp_path_factory.mktemp("program"))


@pytest.fixture
def worker(driver: Any, program: Path) -> Iterator[Any]:
    with driver.WorkerProcess(program, command=[str(program / "serve")]) as worker:
        yield worker


@pytest.fixture
def loaded(worker: Any, program: Path) -> Any:
    answer = worker.load("executable", program / "weights.txt")
    assert answer.verb == frames.READY, answer.header
    return worker


def test_it_adds_its_weighted_inputs(loaded: Any, driver: Any) -> None:
    answer = loaded.attach().predict(driver.tensor("x", [[1, 2], [3, -4]], "FP64"))
    np.testing.assert_array_equal(answer.arrays["y"], [[0.5], [10.5]])


def test_narrow_numbers_are_widened(loaded: Any, driver: Any) -> None:
    answer = loaded.attach().predict(driver.tensor("x", [[0.25, 0.5]], "FP32"))
    np.testing.assert_array_equal(answer.arrays["y"], [[0.5]])


def test_no_rows_are_answered_with_no_rows(loaded: Any, driver: Any) -> None:
    assert loaded.attach().predict(driver.tensor("x", np.zeros((0, 2)), "FP64")).arrays["y"].shape == (0, 1)


def test_a_tensor_may_be_in_several_places_of_the_slab(loaded: Any, driver: Any) -> None:
    link = loaded.attach(slab_bytes=1 << 16)
    whole = driver.tensor("x", np.arange(8.0).reshape(4, 2), "FP64")
    link.slab[128:160], link.slab[4096:4128] = whole.raw[:32], whole.raw[32:]
    answer = link.predict(driver.Tensor([*whole.row, [[128, 32], [4096, 32]]], b""))
    assert answer.body == link.predict(whole).body


@pytest.mark.parametrize("place", [1 << 16, (1 << 16) - 8, [[0, 8]], [[0, 32], [0, 1 << 40]], "far"])
def test_a_place_outside_the_slab_ends_the_link(loaded: Any, driver: Any, place: Any) -> None:
    link = loaded.attach(slab_bytes=1 << 16)
    row = driver.tensor("x", [[1, 2]], "FP64").row
    link.send_predict(driver.Tensor([*row, place], b""))
    with pytest.raises(EOFError):
        link.receive()
    assert loaded.attach(2).predict(driver.tensor("x", [[1, 2]], "FP64")).verb == frames.RESULT


def test_a_size_that_is_not_the_shapes_ends_the_link(loaded: Any, driver: Any) -> None:
    link = loaded.attach()
    link.send_predict(driver.Tensor(["x", "FP64", [1 << 40, 2], 16], bytes(16)))
    with pytest.raises(EOFError):
        link.receive()


def test_bytes_that_are_no_frame_end_the_link_and_nothing_else(loaded: Any, driver: Any) -> None:
    link = loaded.attach()
    link.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".ljust(frames.PREFIX_SIZE))
    with pytest.raises(EOFError):
        link.receive()
    assert loaded.attach(2).predict(driver.tensor("x", [[1, 2]], "FP64")).verb == frames.RESULT


def test_what_is_cancelled_before_it_comes_is_refused(loaded: Any, driver: Any) -> None:
    link = loaded.attach(5)
    loaded.control.send(frames.CANCEL, 1, {"link": 5})
    ping(loaded)  # CANCEL has been read
    assert link.predict(driver.tensor("x", [[1, 2]], "FP64")).header["code"] == "CANCELLED"
    assert link.predict(driver.tensor("x", [[1, 2]], "FP64")).verb == frames.RESULT


def test_it_tells_what_it_has_answered_and_what_it_takes(loaded: Any, driver: Any) -> None:
    link = loaded.attach()
    for _ in range(3):
        link.predict(driver.tensor("x", [[1, 2]], "FP64"))
    told = ping(loaded)
    assert (told["predictions"], told["busy_s"]) == (3, 0)
    assert told["rss"] > 100_000


def test_what_was_sent_before_stop_is_answered(loaded: Any, driver: Any) -> None:
    link = loaded.attach()
    link.predict(driver.tensor("x", [[1, 2]], "FP64"))
    link.send_predict(driver.tensor("x", [[1, 2]], "FP64"))
    loaded.control.send(frames.STOP)
    assert link.receive().verb == frames.RESULT
    assert loaded.wait() == 0


@pytest.mark.parametrize(
    ("key", "value"), [("inputs", [{"name": "x"}]), ("example", {"inputs": {"x": [[1, 2]]}}), ("handler", "a.py")]
)
def test_what_it_does_not_do_it_refuses(worker: Any, program: Path, key: str, value: Any) -> None:
    answer = worker.load("executable", program / "weights.txt", **{key: value})
    assert (answer.verb, answer.header["code"], answer.header["where"]) == (frames.FAILED, "MANIFEST_INVALID", [key])
    assert worker.wait() == 3


@pytest.mark.parametrize(
    ("text", "message"), [("", "does not begin with two counts"), ("2 1\n1 2", "has 2 weights and needs 3")]
)
def test_weights_that_are_none_are_told(worker: Any, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'we"ights.txt').write_text(text)
    answer = worker.load("executable", tmp_path / 'we"ights.txt')
    assert (answer.verb, answer.header["code"]) == (frames.FAILED, "LOAD_FAILED")
    assert message in answer.header["message"]


def test_another_protocol_is_refused(worker: Any, program: Path) -> None:
    assert worker.load("executable", program / "weights.txt", protocol=2).header["code"] == "ENVIRONMENT_BROKEN"


def test_it_ends_while_nothing_was_loaded(worker: Any) -> None:
    worker.control.send(frames.STOP)
    assert worker.wait() == 0


def test_it_says_how_it_is_started(program: Path) -> None:
    done = subprocess.run([program / "serve"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (2, f"usage: {program / 'serve'} --control-fd N\n")


def ping(worker: Any) -> Any:
    worker.control.send(frames.PING, 9)
    answer = worker.control.receive()
    assert (answer.verb, answer.id) == (frames.PONG, 9)
    return answer.header
