"""From code to status, and the form of an error."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations.base import Call
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.errors import CANONICAL, HTTP_STATUS, Unimplemented, error_answer, http_status, invalid
from salver.wire.tfserving.lane import lane_error


def test_the_table_is_total() -> None:
    assert set(CANONICAL) == set(Code)


def test_every_canonical_code_has_a_status() -> None:
    assert set(CANONICAL.values()) <= set(HTTP_STATUS)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.INVALID_INPUT, 400),
        (Code.SIGNATURE_NOT_FOUND, 400),
        (Code.LABEL_NOT_FOUND, 400),
        (Code.ROUTE_NOT_FOUND, 400),
        (Code.METHOD_NOT_ALLOWED, 400),
        (Code.MODEL_NOT_FOUND, 404),
        (Code.MODEL_NOT_READY, 404),
        (Code.PAYLOAD_TOO_LARGE, 413),
        (Code.UNSUPPORTED_MEDIA_TYPE, 415),
        (Code.UNAUTHENTICATED, 401),
        (Code.PERMISSION_DENIED, 403),
        (Code.QUOTA_EXCEEDED, 429),
        (Code.OVERLOADED, 503),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.CANCELLED, 499),
        (Code.MODEL_ERROR, 500),
        (Code.CONFLICT, 409),
    ],
)
def test_a_code_becomes_the_status_of_its_canonical_code(code: Code, status: int) -> None:
    assert http_status(RequestError(code, "why")) == status


def test_unimplemented_is_501() -> None:
    assert http_status(Unimplemented("why")) == 501


def test_an_error_is_one_object_with_message_and_fix() -> None:
    answer = error_answer(RequestError(Code.OVERLOADED, "Too busy.", fix="Wait.", retry_after_s=1.2))
    assert orjson.loads(answer.body) == {"error": "Too busy. Wait."}
    assert (answer.status, answer.content_type) == (503, "application/json")
    assert answer.headers == (("Retry-After", "2"),)


def test_a_text_of_the_original_stands_alone() -> None:
    answer = error_answer(invalid("Missing 'inputs' or 'instances' key"))
    assert orjson.loads(answer.body) == {"error": "Missing 'inputs' or 'instances' key"}
    assert answer.headers == ()


def test_retry_after_is_at_least_a_second() -> None:
    assert error_answer(RequestError(Code.OVERLOADED, "x", retry_after_s=0.0)).headers == (("Retry-After", "1"),)


def test_who_sends_no_key_is_told_how_keys_are_sent() -> None:
    assert error_answer(RequestError(Code.UNAUTHENTICATED, "x")).headers == (("WWW-Authenticate", "Bearer"),)


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    assert orjson.loads(error_answer(invalid("bad \ud800 name")).body) == {"error": "bad ? name"}


@pytest.mark.parametrize(
    ("code", "address", "text"),
    [
        (Code.MODEL_NOT_FOUND, Address(Verb.PREDICT, "foo"), "Servable not found for request: Latest(foo)"),
        (Code.MODEL_NOT_READY, Address(Verb.PREDICT, "foo"), "Servable not found for request: Latest(foo)"),
        (Code.VERSION_NOT_FOUND, Address(Verb.REGRESS, "foo", 50), "Servable not found for request: Specific(foo, 50)"),
        (Code.LABEL_NOT_FOUND, Address(Verb.PREDICT, "m", None, "L"), "Unrecognized servable version label: L"),
        (Code.MODEL_NOT_READY, Address(Verb.PREDICT, "m", None, "L"), "m is starting. Wait."),
        (Code.MODEL_NOT_FOUND, Address(Verb.STATUS, "foo"), "Could not find any versions of model foo"),
        (Code.VERSION_NOT_FOUND, Address(Verb.STATUS, "foo", 3), "Could not find version 3 of model foo"),
        (Code.WORKER_DIED, Address(Verb.PREDICT, "foo"), "m is starting. Wait."),
    ],
)
def test_a_name_that_leads_nowhere_has_the_text_of_the_original(code: Code, address: Address, text: str) -> None:
    answer = lane_error(RequestError(code, "m is starting.", fix="Wait."), address, (("X", "y"),))
    assert orjson.loads(answer.body) == {"error": text}
    assert answer.headers == (("X", "y"),)


def test_a_loaded_version_without_workers_is_unavailable_and_says_when_to_come_again(call: Callable[..., Call]) -> None:
    error = RequestError(Code.MODEL_NOT_READY, "No replica of m/1 is alive.", fix="Wait.", retry_after_s=1.0)
    of_a_loaded_version = call()
    of_a_loaded_version.version = 1
    answer = lane_error(error, Address(Verb.PREDICT, "m"), (), of_a_loaded_version)
    assert (answer.status, orjson.loads(answer.body)) == (503, {"error": "No replica of m/1 is alive. Wait."})
    assert answer.headers == (("Retry-After", "1"),)
