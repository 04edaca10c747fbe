"""Data links: several at once, big and small frames, slabs, and what happens to a link that speaks nonsense."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from salver_worker import frames
from salver_worker.links import KEPT_BYTES, SMALL_BYTES, DataLink, aligned_buffer, attach

WAIT_FOR_ONES = """
    def predict(x):
        if x[0, 0] == 1:
            open("entered", "w").close()
            open("leave").close()
        return x
"""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, DataLink]]:
    ours, theirs = socket.socketpair()
    link = DataLink(1, theirs)
    yield ours, link
    link.close()
    ours.close()


def address(view: memoryview) -> int:
    return int(np.frombuffer(view, np.uint8).ctypes.data)


def frame(header_size: int, body: bytes) -> bytes:
    header = json.dumps({"k": "v" * header_size}).encode()
    return frames.pack_prefix(frames.PREDICT, 1, 0, len(header), len(body)) + header + body


@pytest.mark.parametrize("body_size", [0, 1, 64, 4096, SMALL_BYTES - 200, SMALL_BYTES, 3 * SMALL_BYTES])
def test_a_body_is_aligned_whatever_the_length_of_its_header(pair: Any, body_size: int) -> None:
    ours, link = pair
    body = np.arange(body_size, dtype=np.uint8).tobytes()
    for header_size in [0, 1, 31, 64, 5, 5, 100, 63]:
        ours.sendall(frame(header_size, body))
        received = link.receive()
        assert received.body == body
        assert json.loads(received.header) == {"k": "v" * header_size}
        assert not body_size or address(received.body) % frames.ALIGNMENT == 0
        assert received.body.readonly


def test_a_frame_that_comes_byte_by_byte_is_put_together(echo: Any, driver: Any) -> None:
    link = echo.attach()
    each = driver.tensor("x", [[1, 2]], "FP32")
    header = json.dumps({"tensors": [each.row]}).encode()
    raw = frames.pack_prefix(frames.PREDICT, 1, 0, len(header), len(each.raw)) + header + each.raw
    for index in range(len(raw)):
        link.socket.sendall(raw[index : index + 1])
    assert link.receive().arrays["x"].tolist() == [[1, 2]]


def test_a_header_above_the_small_buffer_is_received(pair: Any) -> None:
    ours, link = pair
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(ours.sendall, frame(3 * SMALL_BYTES, b"body"))
        received = link.receive()
        sending.result()
    assert len(received.header) > 3 * SMALL_BYTES
    assert received.body == b"body"


def test_the_memory_of_a_huge_frame_is_given_back(pair: Any) -> None:
    _, link = pair
    link._large_buffer(KEPT_BYTES + 1)
    link._give_back()
    assert len(link._large) == 0
    link._large_buffer(1024)
    link._give_back()
    assert len(link._large) == 1024


def test_a_growing_buffer_grows_at_least_twofold(pair: Any) -> None:
    _, link = pair
    link._large_buffer(1000)
    assert len(link._large_buffer(1001)) == 1001
    assert len(link._large) == 2000


def test_the_end_of_the_other_side_is_no_frame(pair: Any) -> None:
    ours, link = pair
    ours.close()
    assert link.receive() is None


@pytest.mark.parametrize("cut", [10, 40])
def test_an_end_in_the_middle_of_a_frame_is_an_error(pair: Any, cut: int) -> None:
    ours, link = pair
    ours.sendall(frame(10, b"body")[:cut])
    ours.close()
    with pytest.raises(frames.FrameError, match="in the middle"):
        link.receive()


def test_a_second_frame_before_the_answer_to_the_first_is_an_error(pair: Any) -> None:
    ours, link = pair
    ours.sendall(frame(1, b"") * 2)
    with pytest.raises(frames.FrameError, match="before the last one"):
        link.receive()


def sent(ours: socket.socket, link: DataLink, buffers: list[Any]) -> bytes:
    """What arrives when the buffers are sent."""
    total = sum(memoryview(buffer).nbytes for buffer in buffers)
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(link.send, buffers, total)
        received = b""
        while len(received) < total:
            received += ours.recv(1 << 20)
        sending.result()
    return received


@pytest.mark.parametrize("size", [1, 100])
def test_more_buffers_than_one_call_takes_are_all_sent(pair: Any, size: int) -> None:
    buffers = [bytes([index % 256]) * size for index in range(1500)]
    assert sent(*pair, buffers) == b"".join(buffers)


class Reluctant:
    """A socket that takes only some bytes in each call."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.sendall = connection.sendall
        self.close = connection.close

    def sendmsg(self, buffers: Any) -> int:
        return self._connection.send(b"".join(bytes(buffer) for buffer in buffers)[:1009])


@pytest.mark.parametrize("numbers", [5, 10_000])
def test_a_send_that_is_cut_short_goes_on_where_it_stopped(pair: Any, numbers: int) -> None:
    ours, link = pair
    link._connection = Reluctant(link._connection)
    whole_numbers = np.arange(numbers, dtype="<i8")
    buffers = [b"prefix", whole_numbers, b"", np.zeros((0, 3)), np.array(3.0), np.array([True]), b"end"]
    assert sent(ours, link, buffers) == b"".join(bytes(buffer) for buffer in buffers)


def test_descriptors_must_come_with_attach() -> None:
    with pytest.raises(frames.FrameError, match="1 descriptors, not 2"):
        attach(1, 4096, [0])


def test_aligned_memory_is_aligned() -> None:
    for size in (0, 1, 4097):
        view = aligned_buffer(size)
        assert len(view) == size
        assert not size or address(view) % frames.ALIGNMENT == 0


def test_several_links_are_served_in_turn(echo: Any, driver: Any) -> None:
    links = [echo.attach(number) for number in range(5)]
    for turn in range(3):
        for link in links:
            link.send_predict(driver.tensor("x", [[link.number, turn]], "FP32"))
        for link in links:
            assert link.receive().arrays["x"].tolist() == [[link.number, turn]]


def test_a_link_may_come_while_another_is_busy(serve_function: Any, driver: Any, gate: Any) -> None:
    worker = serve_function(WAIT_FOR_ONES)
    first = worker.attach(1)
    first.send_predict(driver.tensor("x", [[1.0]], "FP64"))
    gate.wait()
    second = worker.attach(2)
    second.send_predict(driver.tensor("x", [[2.0]], "FP64"))
    gate.open()
    assert second.receive().arrays["output"].tolist() == [[2.0]]
    assert first.receive().arrays["output"].tolist() == [[1.0]]


def test_a_link_that_closes_leaves_the_others(echo: Any, driver: Any) -> None:
    first, second = echo.attach(1), echo.attach(2)
    first.predict(driver.tensor("x", [[1]], "FP32"))
    first.close()
    assert second.predict(driver.tensor("x", [[2]], "FP32")).arrays["x"].tolist() == [[2]]


def test_an_answer_that_nobody_waits_for_leaves_the_worker_alive(serve_function: Any, driver: Any, gate: Any) -> None:
    worker = serve_function(WAIT_FOR_ONES)
    first = worker.attach(1)
    first.send_predict(driver.tensor("x", [[1.0]], "FP64"))
    gate.wait()
    first.close()
    gate.open()
    assert worker.attach(2).predict(driver.tensor("x", [[2.0]], "FP64")).verb == frames.RESULT


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"GET / HTTP/1.1\r\n" + bytes(64), "the frame does not begin with"),
        (frames.pack_prefix(frames.PREDICT, 1, 0, 3, 0) + b"{]}", "a header is not JSON"),
        (frames.encode_frame(frames.STOP), "the verb 5 has no meaning on a data link"),
        (frames.encode_frame(frames.PREDICT, 1, {"tensors": [5]}), "a row of `tensors`"),
    ],
)
def test_nonsense_costs_its_link_and_nothing_else(echo: Any, driver: Any, raw: bytes, reason: str) -> None:
    bad, good = echo.attach(1), echo.attach(2)
    bad.socket.sendall(raw)
    with pytest.raises((EOFError, ConnectionResetError)):
        bad.receive()
    assert good.predict(driver.tensor("x", [[1]], "FP32")).verb == frames.RESULT
    assert f"link 1 is dropped: {reason}" in echo.log


def test_a_question_without_a_header_is_the_callers_error(echo: Any) -> None:
    link = echo.attach()
    link.send(frames.PREDICT, 1)
    assert link.receive().header["message"] == "the input x is missing"


def test_big_tensors_go_both_ways(echo: Any, driver: Any) -> None:
    link = echo.attach()
    values = np.arange(300_000, dtype="<f4").reshape(2, -1)
    for _ in range(3):
        assert np.array_equal(link.predict(driver.tensor("x", values, "FP32")).arrays["x"], values)
        assert link.predict(driver.tensor("x", [[1]], "FP32")).arrays["x"].tolist() == [[1]]


def test_receiving_a_big_frame_takes_linear_time(echo: Any, driver: Any) -> None:
    link = echo.attach()
    values = np.ones((1, 16 << 20), "<f4")
    began = time.perf_counter()
    assert link.predict(driver.tensor("x", values, "FP32")).verb == frames.RESULT
    assert time.perf_counter() - began < 10


def test_tensors_of_a_slab_are_read_where_they_lie(echo: Any, driver: Any) -> None:
    links = [echo.attach(number, slab_bytes=1 << 20) for number in (1, 2)]
    for offset in (0, 4096, (1 << 20) - 8):
        for link in links:
            inside = link.put_in_slab(driver.tensor("x", [[link.number, offset]], "FP32"), offset)
            assert link.predict(inside).arrays["x"].tolist() == [[link.number, offset]]


def test_a_place_outside_the_slab_is_refused(echo: Any, driver: Any) -> None:
    link = echo.attach(slab_bytes=4096)
    each = driver.tensor("x", [[1, 2]], "FP32")
    answer = link.predict(driver.Tensor([*each.row, 4092], b""))
    assert (answer.verb, answer.header["code"]) == (frames.ERROR, "INVALID_INPUT")
