"""A request with too many rows is cut into pieces that are put together as if nothing had happened."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.replicas.slab import Slab
from salver.serving.batching.oversize import joined, sliced
from salver.types import InferRequest, InferResponse, Tensor, VersionInfo, as_array

VERSION: Any = None


def request(tensor: Tensor) -> InferRequest:
    return InferRequest(VERSION, "s", {"x": tensor}, None, tensor.shape[0], "g", {"p": 1})


def forms(array: np.ndarray[Any, Any]) -> list[Any]:
    """The same values in every form that a tensor's data may have."""
    raw = array.tobytes()
    return [array.tolist(), array, raw, bytearray(raw), memoryview(raw)]


@given(st.integers(1, 20), st.integers(1, 7))
def test_pieces_together_are_the_whole_in_every_form(rows: int, max_rows: int) -> None:
    array = np.arange(rows * 3, dtype="<f4").reshape(rows, 3)
    for data in forms(array):
        parts = sliced(request(Tensor("FP32", (rows, 3), data)), max_rows)
        assert all(part.rows <= max_rows for part in parts)
        assert all(part.parameters == {"p": 1} for part in parts)
        tensors = [part.inputs["x"] for part in parts if part.inputs]
        assert np.concatenate([as_array(tensor) for tensor in tensors]).tolist() == array.tolist()


def test_text_is_cut_by_its_elements() -> None:
    tensor = Tensor("BYTES", (3, 2), [b"a", b"b", b"c", b"d", b"e", b"f"])
    parts = sliced(request(tensor), 2)
    assert [part.inputs["x"].data for part in parts if part.inputs] == [[b"a", b"b", b"c", b"d"], [b"e", b"f"]]


def test_memory_of_the_slab_is_cut_without_a_copy() -> None:
    slab = Slab(1 << 20)
    piece = slab.take(16)
    assert piece is not None
    piece.view[:] = np.arange(4, dtype="<f4").tobytes()
    parts = sliced(request(Tensor("FP32", (4, 1), piece)), 3)
    last = parts[1].inputs
    assert last is not None
    assert as_array(last["x"]).tolist() == [[3.0]]
    last["x"].data.release()
    del parts, last
    piece.release()
    slab.close()


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (1, 1, 1)])
def test_answers_are_joined_row_after_row(sizes: tuple[int, ...]) -> None:
    version: VersionInfo = VERSION
    answers = [InferResponse(version, {"y": np.full((size, 2), size)}) for size in sizes]
    whole = joined(answers).outputs
    assert whole is not None
    assert whole["y"][:, 0].tolist() == [size for size in sizes for _ in range(size)]
