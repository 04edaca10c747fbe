"""What parameters ask of the server, columns that are one table, and answers that are compressed."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import numpy as np
import orjson
import pytest

from salver.operations.base import Answer
from salver.types import SequenceStep
from salver.wire.openinference.compression import MAX_BYTES, MIN_BYTES, compressed, wanted_encoding


@pytest.fixture
def one(version_info) -> Any:
    return version_info([("x", "FP32", (-1, 2))], [("y", "FP32", (-1,))])


@pytest.fixture
def with_parameters(decode, one, tensor) -> Any:
    """`with_parameters(timeout=5)`: the request that has them."""

    def build(**parameters: Any) -> Any:
        return decode(one, {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])], "parameters": parameters})

    return build


@pytest.fixture
def refused(refuse, one, tensor) -> Any:
    def build(**parameters: Any) -> Any:
        return refuse(one, {"inputs": [tensor("x", "FP32", [1, 2], [1, 2])], "parameters": parameters})

    return build


def test_a_timeout_counts_microseconds(with_parameters) -> None:
    assert with_parameters().allowed_s == 0.0
    assert with_parameters(timeout=0).allowed_s == 0.0
    assert with_parameters(timeout=2_500_000).allowed_s == 2.5
    assert with_parameters(timeout=2**63).allowed_s == 3600.0


@pytest.mark.parametrize("value", [-1, 1.5, "5", True])
@pytest.mark.parametrize("name", ["timeout", "priority"])
def test_a_time_or_a_priority_that_is_none(refused, name: str, value: Any) -> None:
    status, text = refused(**{name: value})
    assert status == 400
    assert text.startswith("Unable to parse 'parameters'")


def test_a_step_of_a_sequence_goes_to_the_model_with_its_place(with_parameters) -> None:
    request = with_parameters(sequence_id=7, sequence_start=True, scale=2)
    assert request.sequence == SequenceStep(7, is_start=True)
    assert request.parameters == {"scale": 2, "sequence_id": 7, "sequence_start": True, "sequence_end": False}
    assert with_parameters(sequence_id="a", sequence_end=True).sequence == SequenceStep("a", is_end=True)
    for none in (0, ""):
        request = with_parameters(sequence_id=none, sequence_start=True)
        assert (request.sequence, request.parameters) == (None, None)


@pytest.mark.parametrize("wrong", [{"sequence_id": 1.5}, {"sequence_id": True}, {"sequence_id": -1}])
def test_an_id_of_a_sequence_that_is_none(refused, wrong: Any) -> None:
    assert refused(**wrong) == (400, "Unable to parse 'parameters': 'sequence_id' must be a whole number or a string")


def test_an_id_that_is_too_long_and_flags_that_are_none(refused) -> None:
    assert "longer than 256 characters" in refused(sequence_id="a" * 257)[1]
    assert "'sequence_start' must be true or false" in refused(sequence_id=1, sequence_start=1)[1]


def test_a_step_whose_json_is_known_already_is_one_still(decode, one, tensor) -> None:
    document = {"inputs": [tensor("x", "FP32", [1, 2], 8)], "parameters": {"sequence_id": 3, "timeout": 5_000_000}}
    for _ in range(2):
        request = decode(one, document, bytes(8))
        assert (request.sequence, request.allowed_s) == (SequenceStep(3), 5.0)


# Handlers


def test_a_handler_is_given_parameters_as_parts(decode, version_info, tensor) -> None:
    document = {
        "inputs": [tensor("body", "BYTES", [1], ["x"])],
        "parameters": {"size": 3, "is_big": True, "word": "é", "sequence_id": 4, "timeout": 1_000_000},
    }
    request = decode(version_info(), document)
    told = {part.name: part.data for part in request.body.parts}
    assert told == {
        "size": b"3",
        "is_big": b"true",
        "word": "é".encode(),
        "sequence_id": b"4",
        "sequence_start": b"false",
        "sequence_end": b"false",
        "body": b"x",
    }
    assert (request.allowed_s, request.sequence) == (1.0, SequenceStep(4))


# Columns


def columns(tensor: Any, *items: Any, content_type: str = "pd") -> dict[str, Any]:
    return {"inputs": [tensor(*item) for item in items], "parameters": {"content_type": content_type}}


def test_columns_are_put_side_by_side_for_a_model_that_takes_one_table(decode, one, tensor) -> None:
    document = columns(tensor, ("a", "FP64", [2, 1], [1.5, 2.5]), ("b", "INT64", [2], [3, 4]))
    request = decode(one, document)
    assert np.asarray(request.inputs["x"].data).tolist() == [[1.5, 3], [2.5, 4]]
    assert request.rows == 2


def test_columns_that_differ_in_length(refuse, one, tensor) -> None:
    document = columns(tensor, ("a", "FP64", [2], [1, 2]), ("b", "INT64", [1], [3]))
    assert refuse(one, document) == (400, "the column 'b' has 1 values, the first one has 2")


def test_columns_of_another_number_do_not_fit(refuse, one, tensor) -> None:
    document = columns(tensor, ("a", "FP64", [2], [1, 2]))
    assert "unexpected shape for input 'x' for model 'm'. Expected [-1,2], got [2,1]" in refuse(one, document)[1]
    assert "got [0,0]" in refuse(one, columns(tensor))[1]


def test_columns_are_inputs_wherever_the_model_has_inputs_of_their_names(
    decode, refuse, one, tensor, version_info
) -> None:
    two = version_info([("a", "FP64", (-1,)), ("b", "FP64", (-1,))])
    request = decode(two, columns(tensor, ("a", "FP64", [1], [1]), ("b", "FP64", [1], [2])))
    assert list(request.inputs) == ["a", "b"]
    assert decode(one, columns(tensor, ("x", "FP32", [1, 2], [1, 2]))).rows == 1
    for content_type in ("np", "base64"):
        document = columns(tensor, ("a", "FP64", [2], [1, 2]), content_type=content_type)
        assert "unexpected inference input 'a'" in refuse(one, document)[1]


# Compression


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        (None, ""),
        (b"", ""),
        (b"gzip", "gzip"),
        (b"deflate", "deflate"),
        (b"gzip, deflate, br", "gzip"),
        (b"GZIP;q=0.5, deflate;q=0.8", "deflate"),
        (b"gzip;q=0", ""),
        (b"gzip;q=0.2, identity;q=0.9", ""),
        (b"br, zstd", ""),
        (b"*", ""),
        (b"gzip;level=9", ""),
        (b"\xff", ""),
    ],
)
def test_which_encoding_a_client_likes_best(header: bytes | None, encoding: str) -> None:
    assert wanted_encoding(header) == encoding


def test_answers_of_a_fitting_size_are_compressed() -> None:
    body = b"1," * MIN_BYTES
    for encoding, unpack in (("gzip", gzip.decompress), ("deflate", zlib.decompress)):
        answer = compressed(Answer(200, body, headers=(("A", "b"),)), encoding)
        assert unpack(answer.body) == body
        assert answer.headers == (("A", "b"), ("Content-Encoding", encoding))
    for size, encoding in ((MIN_BYTES - 1, "gzip"), (MAX_BYTES + 1, "gzip"), (MIN_BYTES, "")):
        answer = Answer(200, bytes(size))
        assert compressed(answer, encoding) is answer


def test_the_header_of_a_request_says_how_its_answer_comes(route, decode, one, tensor, exchange, call) -> None:
    from salver.types import InferResponse

    body = orjson.dumps({"inputs": [tensor("x", "FP32", [1, 2], [1, 2])]})
    found = route()
    request = found.decode(exchange(body, headers={"Accept-Encoding": "gzip"}), one)
    answer = found.encode(InferResponse(one, {"y": np.zeros(1000, "<f4")}), request, call())
    assert dict(answer.headers) == {"Content-Encoding": "gzip"}
    assert len(orjson.loads(gzip.decompress(answer.body))["outputs"][0]["data"]) == 1000
