"""What a worker reads of a batch is the rows of its requests, one behind the other, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.replicas.slab import PAGE, Slab
from salver.serving.batching.assembly import Assembler, slab_offset
from salver.serving.batching.queue import VersionQueue
from salver.types import BatchSettings, InferRequest, ModelVersion, PayloadKind, SlabSlice, Tensor, VersionInfo
from salver_worker import frames
from salver_worker.inputs import InputReader

VERSION = VersionInfo(
    id=ModelVersion("m", 1),
    runtime="hand",
    payload=PayloadKind.TENSORS,
    signatures={},
    batching=BatchSettings(),
    has_batch_dimension=True,
    is_idempotent=True,
)
WIDTHS = [PAGE, PAGE // 2, 100]


class Memory:
    """A slab and what was put there; `tensor` makes one of each form that a request may have."""

    def __init__(self) -> None:
        self.slab = Slab(64 * PAGE)
        self.held: list[SlabSlice] = []

    def tensor(self, form: str, values: np.ndarray[Any, Any]) -> Tensor:
        data: Any = values
        if form in ("slab", "slab behind a gap"):
            if form == "slab behind a gap":
                self._take(1)
            data = self._take(values.nbytes)
            data.view[:] = values.tobytes()
        elif form == "list":
            data = values.tolist()
        elif form == "bytes":
            data = values.tobytes()
        return Tensor("UINT8", values.shape, data)

    def _take(self, size: int) -> SlabSlice:
        piece = self.slab.take(size)
        assert piece is not None
        self.held.append(piece)
        return piece

    @property
    def view(self) -> memoryview:
        return memoryview(self.slab._map)


@contextmanager
def a_memory() -> Iterator[Memory]:
    memory = Memory()
    yield memory
    for piece in memory.held:
        piece.release()
    memory.slab.close()


def requests_of(memory: Memory, forms: list[str], rows: list[int], width: int) -> list[InferRequest]:
    requests = []
    for number, (form, count) in enumerate(zip(forms, rows, strict=True), start=1):
        values = np.full((count, width), number, np.uint8)
        requests.append(InferRequest(VERSION, "", {"x": memory.tensor(form, values)}, None, count, "g"))
    return requests


def as_read_by_a_worker(memory: Memory, requests: list[InferRequest], width: int) -> list[int]:
    """The numbers of the requests, one for each row."""
    batch = Assembler(VERSION).assemble(requests)
    body = memoryview(b"".join(batch.pieces))
    assert len(body) == batch.size
    spec = {"inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, width]}], "outputs": []}
    arrays, _ = InputReader(spec, has_batch_dimension=True).read(batch.header, body, memory.view)
    x = arrays["x"]
    assert x.shape == (sum(request.rows for request in requests), width)
    assert (x == x[:, :1]).all()
    return x[:, 0].tolist()


@settings(deadline=None)
@given(
    forms=st.lists(st.just("slab"), min_size=1, max_size=5)
    | st.lists(st.sampled_from(["slab", "slab behind a gap"]), min_size=1, max_size=5)
    | st.lists(st.sampled_from(["slab", "slab behind a gap", "list", "bytes", "array"]), min_size=1, max_size=5),
    rows=st.lists(st.integers(1, 3), min_size=5, max_size=5),
    width=st.sampled_from(WIDTHS),
    data=st.data(),
)
def test_a_worker_reads_all_rows_in_order(forms: list[str], rows: list[int], width: int, data: Any) -> None:
    with a_memory() as memory:
        requests = data.draw(st.permutations(requests_of(memory, forms, rows[: len(forms)], width)))
        expected = [number_of(memory, request) for request in requests for _ in range(request.rows)]
        assert as_read_by_a_worker(memory, requests, width) == expected


def number_of(memory: Memory, request: InferRequest) -> int:
    assert request.inputs is not None
    data = request.inputs["x"].data
    if isinstance(data, SlabSlice):
        return data.view[0]
    return int(np.frombuffer(data, np.uint8)[0]) if isinstance(data, bytes) else int(np.asarray(data).flat[0])


def places_of(requests: list[InferRequest]) -> Any:
    (row,) = frames.decode_header(Assembler(VERSION).assemble(requests).header)["tensors"]
    return row[4:]


def test_neighbours_of_whole_pages_are_one_place() -> None:
    with a_memory() as memory:
        requests = requests_of(memory, ["slab"] * 3, [1, 2, 1], PAGE)
        assert places_of(requests) == [requests[0].inputs["x"].data.offset]  # type: ignore[index]


@pytest.mark.parametrize(("forms", "width"), [(["slab", "slab behind a gap"], PAGE), (["slab", "slab"], 100)])
def test_others_are_several(forms: list[str], width: int) -> None:
    with a_memory() as memory:
        first, second = requests = requests_of(memory, forms, [1, 1], width)
        ((one, other),) = places_of(requests)
        assert (one, other) == ([slab_offset(first), width], [slab_offset(second), width])


def test_a_queue_puts_neighbours_side_by_side(bench: Any) -> None:
    """In whichever order they came; each gets its own answer all the same."""
    with a_memory() as memory:
        queue: VersionQueue = bench.queue
        tickets = []
        for number in (2, 1, 3):  # by where they lie: first, second, third
            values = np.full((1, PAGE // 4), number, "<f4")
            piece = memory._take(PAGE)
            piece.view[:] = values.tobytes()
            request = InferRequest(
                bench.version, "serving_default", {"x": Tensor("FP32", values.shape, piece)}, None, 1, "g"
            )
            tickets.append(type(bench.ticket([[1.0]]))(request, bench.loop.now + 30.0, "r"))
        for ticket in (tickets[2], tickets[0], tickets[1]):
            queue.submit(ticket)
        bench.loop.advance()
        header, body, _ = bench.link.sent[-1]
        assert (header["tensors"][0][4:], body) == ([0], b"")
        values = np.ndarray((3, PAGE // 4), "<f4", memory.view)
        bench.link.answer(values[:, :2].copy())
        del values
        assert [ticket.y[0][0] for ticket in tickets] == [2, 1, 3]


def test_headers_of_several_places_are_not_kept() -> None:
    with a_memory() as memory:
        assembler = Assembler(VERSION)
        requests = requests_of(memory, ["slab", "slab behind a gap"], [1, 1], PAGE)
        assembler.assemble(requests)
        assert assembler._headers == {}
        assembler.assemble(requests[:1])
        assert len(assembler._headers) == 1
