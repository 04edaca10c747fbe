"""Requests become one batch and its result their answers, byte for byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from salver.errors import Code, RequestError
from salver.replicas.slab import Slab
from salver.serving.batching.assembly import CACHE_LIMIT, Assembler, assemble_bodies, split_bodies
from salver.types import (
    BatchSettings,
    Body,
    InferRequest,
    ModelVersion,
    Part,
    PayloadKind,
    Tensor,
    VersionInfo,
)
from salver_worker import frames


def version(**changes: Any) -> VersionInfo:
    values: dict[str, Any] = {
        "id": ModelVersion("m", 1),
        "runtime": "echo",
        "payload": PayloadKind.TENSORS,
        "signatures": {},
        "batching": BatchSettings(),
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**{**values, **changes})


def request(*tensors: Tensor, parameters: dict[str, Any] | None = None) -> InferRequest:
    inputs = {f"x{number}": tensor for number, tensor in enumerate(tensors)}
    return InferRequest(version(), "s", inputs, None, tensors[0].shape[0], "g", parameters)


def header_of(raw: bytes) -> list[list[Any]]:
    rows = frames.decode_header(raw)["tensors"]
    assert isinstance(rows, list)
    return rows


def test_tensors_lie_one_behind_the_other_each_aligned() -> None:
    batch = Assembler(version()).assemble(
        [request(Tensor("FP32", (1, 1), [[1.0]]), Tensor("INT64", (1,), np.array([7])))]
    )
    body = b"".join(batch.pieces)
    assert len(body) == batch.size == 128
    assert header_of(batch.header) == [["x0", "FP32", [1, 1], 4], ["x1", "INT64", [1], 8]]
    assert np.frombuffer(body[64:72], "<i8").tolist() == [7]


def test_rows_of_many_requests_follow_each_other_whatever_form_they_have() -> None:
    row = np.array([[2.0]], "<f4")
    forms: list[Any] = [[[1.0]], row, row.tobytes(), bytearray(row), memoryview(row)]
    batch = Assembler(version()).assemble([request(Tensor("FP32", (1, 1), data)) for data in forms])
    body = b"".join(batch.pieces)
    assert np.frombuffer(body[:20], "<f4").tolist() == [1.0, 2.0, 2.0, 2.0, 2.0]


def test_lists_alone_become_one_array() -> None:
    batch = Assembler(version()).assemble([request(Tensor("INT8", (2,), [1, 2])), request(Tensor("INT8", (1,), [3]))])
    assert b"".join(batch.pieces)[:3] == b"\1\2\3"


def test_text_goes_with_its_lengths() -> None:
    batch = Assembler(version()).assemble(
        [request(Tensor("BYTES", (1,), [b"a"])), request(Tensor("BYTES", (1,), [b"bc"]))]
    )
    size = header_of(batch.header)[0][3]
    assert frames.decode_bytes_elements(b"".join(batch.pieces)[:size], 2) == [b"a", b"bc"]


def test_memory_of_the_slab_goes_by_its_offset_when_it_is_alone_and_by_copy_otherwise() -> None:
    slab = Slab(1 << 20)
    slab.take(1)
    piece = slab.take(8)
    assert piece is not None
    piece.view[:] = b"12345678"
    sent = request(Tensor("UINT8", (1, 8), piece))
    alone = Assembler(version()).assemble([sent])
    assert (alone.size, header_of(alone.header)) == (0, [["x0", "UINT8", [1, 8], 8, piece.offset]])
    together = Assembler(version()).assemble([sent, request(Tensor("UINT8", (1, 8), b"abcdefgh"))])
    assert b"".join(together.pieces)[:16] == b"12345678abcdefgh"
    del together, alone
    piece.release()
    slab.close()


@pytest.mark.parametrize("values", [[300], ["a"], [[1], [2, 3]], [[1]]])
def test_values_that_do_not_fit_are_the_callers_fault(values: list[Any]) -> None:
    with pytest.raises(RequestError) as caught:
        Assembler(version()).assemble([request(Tensor("UINT8", (1,), values))])
    assert caught.value.code is Code.INVALID_INPUT


def test_parameters_travel_in_the_header() -> None:
    batch = Assembler(version()).assemble([request(Tensor("INT8", (1,), [1]), parameters={"p": 1})])
    assert frames.decode_header(batch.header)["parameters"] == {"p": 1}


def test_headers_are_kept_but_not_without_bound() -> None:
    assembler = Assembler(version())
    for rows in range(1, CACHE_LIMIT + 3):
        batch = assembler.assemble([request(Tensor("INT8", (rows,), [1] * rows))])
        assert header_of(batch.header) == [["x0", "INT8", [rows], rows]]
        result = frames.encode_header({"tensors": [["y", "INT8", [rows], rows]]})
        assert assembler.arrays(result, memoryview(bytes(rows)))["y"].shape == (rows,)


def test_results_are_views_of_the_body() -> None:
    text = frames.encode_bytes_elements([b"a", b"b"])
    header = frames.encode_header({"tensors": [["n", "FP32", [1, 2], 8], ["t", "BYTES", [2], len(text)]]})
    body = np.array([1, 2], "<f4").tobytes() + bytes(56) + text
    arrays = Assembler(version()).arrays(header, memoryview(body))
    assert arrays["n"].tolist() == [[1.0, 2.0]]
    assert arrays["t"].tolist() == [b"a", b"b"]


@pytest.mark.parametrize("header", [b"{}", b'{"tensors": [["y"]]}', b'{"tensors": [["y", "NONE", [1], 1]]}', b"[]"])
def test_a_header_that_is_none_is_a_frame_error(header: bytes) -> None:
    with pytest.raises(frames.FrameError):
        Assembler(version()).arrays(header, memoryview(b""))


@pytest.mark.parametrize("array", [np.zeros(3), np.float32(1).reshape(())])
def test_rows_out_must_be_rows_in(array: Any) -> None:
    with pytest.raises(RequestError) as caught:
        Assembler(version()).split({"y": array}, [request(Tensor("INT8", (2,), [1, 2]))])
    assert caught.value.code is Code.OUTPUT_INVALID


def test_a_model_without_rows_answers_as_it_likes() -> None:
    (answer,) = Assembler(version(has_batch_dimension=False)).split(
        {"y": np.zeros(5)}, [request(Tensor("INT8", (1,), [1]))]
    )
    assert answer.outputs is not None
    assert answer.outputs["y"].shape == (5,)


def test_bodies_keep_their_parts_headers_and_ids() -> None:
    slab = Slab(1 << 20)
    piece = slab.take(3)
    assert piece is not None
    piece.view[:] = b"abc"
    bodies = [
        Body((Part("body", "image/png", piece),), {"X-A": "1"}),
        Body((Part("a", "", b"d"), Part("b", "t", b"ef")), {}),
    ]
    requests = [InferRequest(version(), "s", None, body, 1, "g") for body in bodies]
    batch = assemble_bodies(requests, ["one", "two"])
    rows = frames.decode_header(batch.header)["requests"]
    assert [row["id"] for row in rows] == ["one", "two"]
    assert rows[0]["headers"] == {"X-A": "1"}
    assert rows[1]["parts"] == [["a", "", 1], ["b", "t", 2]]
    assert (b"".join(batch.pieces), batch.size) == (b"abcdef", 6)
    del batch
    piece.release()
    slab.close()


def test_body_results_are_told_apart_and_counted() -> None:
    rows = [
        {"status": 200, "phrase": "", "headers": {"A": "b"}, "content_type": "text/plain", "size": 2},
        {"status": 404, "phrase": "No", "headers": None, "content_type": None, "size": 1},
    ]
    header = frames.encode_header({"responses": rows})
    one, two = split_bodies(version(), header, memoryview(b"abc"), 2)
    assert one.body is not None
    assert two.body is not None
    assert (one.body.data, one.body.headers) == (b"ab", {"A": "b"})
    assert (two.body.data, two.body.status, two.body.phrase) == (b"c", 404, "No")
    with pytest.raises(RequestError) as caught:
        split_bodies(version(), header, memoryview(b"abc"), 3)
    assert caught.value.code is Code.OUTPUT_INVALID


def test_answers_of_a_signature_without_rows_are_whole() -> None:
    assembler = Assembler(version(unbatched=("s",)))
    total = np.array(6.0)
    (response,) = assembler.split({"y": total}, [request(Tensor("FP32", (3,), [1.0, 2.0, 3.0]))])
    assert response.outputs == {"y": total}
