"""From code to status, and the form of an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import PredictRoute
from salver.wire.openinference.errors import STATUS, Subject, Unsupported, error_answer, refused, status_of


def test_the_table_is_total() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_every_code_is_one_object_with_one_text(code: Code) -> None:
    answer = error_answer(SalverError(code, "Why."), Subject("m", 3))
    document = orjson.loads(answer.body)
    assert list(document) == ["error"]
    assert document["error"]
    assert 400 <= answer.status <= 599


@pytest.mark.parametrize(
    ("code", "version", "status", "text"),
    [
        (Code.MODEL_NOT_FOUND, None, 400, "Request for unknown model: 'm' is not found"),
        (Code.VERSION_NOT_FOUND, 9, 404, "Request for unknown model: 'm' version 9 is not found"),
        (Code.MODEL_NOT_READY, None, 404, "Request for unknown model: 'm' has no available versions"),
        (Code.MODEL_NOT_READY, 1, 503, "Request for unknown model: 'm' version 1 is not at ready state"),
    ],
)
def test_names_that_lead_nowhere_have_the_originals_words(
    code: Code, version: int | None, status: int, text: str
) -> None:
    answer = error_answer(RequestError(code, "Why."), Subject("m", version))
    assert (answer.status, orjson.loads(answer.body)["error"]) == (status, text)


def test_a_version_that_was_found_is_named(route: Callable[..., PredictRoute], call: Callable[..., Any]) -> None:
    found = call()
    found.version = 4
    answer = route().error(RequestError(Code.MODEL_NOT_READY, "Why.", retry_after_s=1.2), found)
    assert b"version 4 is not at ready state" in answer.body
    assert (answer.status, answer.headers) == (503, (("Retry-After", "2"),))


def test_an_error_without_words_of_the_original_has_message_and_fix() -> None:
    answer = error_answer(RequestError(Code.OVERLOADED, "Too busy.", fix="Wait.", retry_after_s=0.1))
    assert orjson.loads(answer.body) == {"error": "Too busy. Wait."}
    assert answer.headers == (("Retry-After", "1"),)
    assert orjson.loads(error_answer(RequestError(Code.INVALID_INPUT, "Bad.", fix="")).body) == {"error": "Bad."}


def test_who_sent_no_key_is_told_how() -> None:
    assert error_answer(RequestError(Code.UNAUTHENTICATED, "Who?")).headers == (("WWW-Authenticate", "Bearer"),)


def test_a_model_may_ask_for_a_status() -> None:
    assert status_of(RequestError(Code.MODEL_ERROR, "x", status=422)) == 422
    assert status_of(RequestError(Code.MODEL_ERROR, "x", status=200)) == 500
    assert status_of(RequestError(Code.MODEL_ERROR, "x")) == 500
    assert status_of(RequestError(Code.INVALID_INPUT, "x", status=422)) == 400


def test_what_is_not_supported_is_501() -> None:
    assert error_answer(Unsupported("no")).status == 501


def test_a_refusal_begins_with_the_requests_id() -> None:
    assert refused("7", "x").message == "[request id: 7] x"
    assert refused("", "x").message == "[request id: <id_unknown>] x"
    assert len(refused("7" * 1000, "x").message) < 300


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert orjson.loads(error_answer(RequestError(Code.INVALID_INPUT, "\ud800", fix="")).body) == {"error": "?"}
