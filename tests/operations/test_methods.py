"""The words that wires have for gRPC."""

from __future__ import annotations

import pytest

from salver.errors import Code, RequestError
from salver.operations.methods import STATUS, GrpcStatus, status_answer
from salver.wire.tfserving.errors import CANONICAL


def test_every_code_has_a_status_here_and_in_each_wire_of_its_own() -> None:
    assert set(STATUS) == set(Code)
    assert set(CANONICAL.values()) <= set(GrpcStatus.__members__)


def test_the_numbers_are_those_of_the_library() -> None:
    grpc = pytest.importorskip("grpc")
    assert {code.name: code.value[0] for code in grpc.StatusCode} == {each.name: each.value for each in GrpcStatus}


def test_an_error_is_told_with_its_fix_and_when_to_come_again() -> None:
    answer = status_answer(RequestError(Code.OVERLOADED, "It is full.", fix="Wait.", retry_after_s=0.2))
    assert (answer.status, answer.body) == (GrpcStatus.UNAVAILABLE, b"It is full. Wait.")
    assert answer.headers == (("retry-after", "1"),)
    assert status_answer(RequestError(Code.INVALID_INPUT, "No.", fix="")).body == b"No."
