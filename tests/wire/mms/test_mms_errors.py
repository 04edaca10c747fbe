"""Errors in the words of MXNet Model Server."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from salver.errors import Code, LoadError, RequestError, SalverError
from salver.operations.base import Answer, Call
from salver.wire.torchserve.addresses import Asked
from salver.wire.torchserve.dialect import MMS, TORCHSERVE, Dialect
from salver.wire.torchserve.inference import MmsPredictRoute

NO_WORKER = "No worker is available to serve request for model: m. Consider increasing job queue size."


def render(error: SalverError, call: Call | None = None) -> Answer:
    return MmsPredictRoute(Asked("m", "9"), 9, "mms", MMS).error(error, call)


def document(error: SalverError) -> tuple[int, str, str]:
    answer = render(error)
    found = json.loads(answer.body)
    assert list(found) == ["code", "type", "message"]
    assert found["code"] == answer.status
    return found["code"], found["type"], found["message"]


@pytest.mark.parametrize("dialect", [MMS, TORCHSERVE], ids=lambda dialect: dialect.name)
def test_every_code_has_a_row(dialect: Dialect) -> None:
    assert dialect.rows.keys() == set(Code)


@pytest.mark.parametrize("code", set(Code) - {Code.PAYLOAD_TOO_LARGE})
def test_every_error_is_pretty_json_that_closes_the_connection(code: Code, call: Callable[..., Call]) -> None:
    answer = render(RequestError(code, "It is so"), call())
    assert answer.body.startswith(b'{\n  "code": ')
    assert answer.body.endswith(b"\n}\n")
    assert answer.content_type == "application/json"
    assert answer.close
    assert answer.phrase is None
    assert answer.headers[:4] == (
        ("x-request-id", "request-1"),
        ("Pragma", "no-cache"),
        ("Cache-Control", "no-cache; no-store, must-revalidate, private"),
        ("Expires", "Thu, 01 Jan 1970 00:00:00 UTC"),
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (Code.MODEL_NOT_FOUND, (404, "ModelNotFoundException", "Model not found: m")),
        (
            Code.VERSION_NOT_FOUND,
            (404, "ModelVersionNotFoundException", "Model version: 9 does not exist for model: m"),
        ),
        (Code.OVERLOADED, (503, "ServiceUnavailableException", NO_WORKER)),
        (Code.MODEL_NOT_READY, (503, "ServiceUnavailableException", NO_WORKER)),
        (Code.WORKER_DIED, (500, "InternalServerException", "Worker died.")),
        (Code.OUT_OF_MEMORY, (507, "InternalServerException", "Out of resources")),
        (Code.MODEL_ERROR, (503, "InternalServerException", "Prediction failed")),
        (Code.OUTPUT_INVALID, (503, "InternalServerException", "Prediction failed")),
        (
            Code.ROUTE_NOT_FOUND,
            (404, "ResourceNotFoundException", "Requested resource is not found, please refer to API document."),
        ),
    ],
)
def test_texts_are_those_of_the_original(code: Code, expected: tuple[int, str, str]) -> None:
    assert document(RequestError(code, "Prediction failed")) == expected


@pytest.mark.parametrize(
    ("code", "status", "type"),
    [
        (Code.INVALID_INPUT, 400, "BadRequestException"),
        (Code.UNSUPPORTED_MEDIA_TYPE, 400, "BadRequestException"),
        (Code.SIGNATURE_NOT_FOUND, 400, "BadRequestException"),
        (Code.LABEL_NOT_FOUND, 404, "ModelVersionNotFoundException"),
        (Code.UNAUTHENTICATED, 401, "InvalidKeyException"),
        (Code.PERMISSION_DENIED, 403, "InvalidKeyException"),
        (Code.QUOTA_EXCEEDED, 429, "ServiceUnavailableException"),
        (Code.DEADLINE_EXCEEDED, 408, "RequestTimeoutException"),
        (Code.SHUTTING_DOWN, 503, "ServiceUnavailableException"),
        (Code.CONFLICT, 409, "ConflictStatusException"),
        (Code.FORMAT_UNKNOWN, 400, "InvalidModelException"),
        (Code.INTERNAL, 500, "InternalServerException"),
    ],
)
def test_where_the_original_has_no_words_the_cause_and_the_fix_are_told(code: Code, status: int, type: str) -> None:
    assert document(RequestError(code, "It is so", fix="Do this.")) == (status, type, "It is so. Do this.")
    assert document(RequestError(code, "Is it so?", fix="")) == (status, type, "Is it so?")


def test_a_status_that_a_handler_asked_for_is_given_with_its_message_alone() -> None:
    error = RequestError(Code.MODEL_ERROR, "no cat {here}", status=418)
    assert document(error) == (418, "InternalServerException", "no cat {here}")


@pytest.mark.parametrize("status", [200, 302, 600, 0])
def test_a_status_that_is_no_error_is_not_given(status: int) -> None:
    assert document(RequestError(Code.MODEL_ERROR, "no cat", status=status))[0] == 503


def test_a_body_above_the_limit_is_refused_without_a_word(call: Callable[..., Call]) -> None:
    answer = render(RequestError(Code.PAYLOAD_TOO_LARGE, "too large"), call())
    assert answer == Answer(413, b"", content_type=None, close=True)


@pytest.mark.parametrize("code", [Code.OVERLOADED, Code.MODEL_NOT_READY, Code.SHUTTING_DOWN, Code.QUOTA_EXCEEDED])
def test_who_should_come_again_is_told_when(code: Code) -> None:
    assert ("Retry-After", "1") in render(RequestError(code, "later")).headers
    assert ("Retry-After", "3") in render(RequestError(code, "later", retry_after_s=2.1)).headers


def test_any_error_may_say_when_to_come_again() -> None:
    assert ("Retry-After", "5") in render(RequestError(Code.WORKER_DIED, "", retry_after_s=5)).headers
    assert "Retry-After" not in dict(render(RequestError(Code.WORKER_DIED, "")).headers)


def test_who_has_no_key_is_told_how_to_send_one() -> None:
    assert ("WWW-Authenticate", "Bearer") in render(RequestError(Code.UNAUTHENTICATED, "no key")).headers


def test_an_error_without_a_call_has_no_request_id() -> None:
    assert "x-request-id" not in dict(render(RequestError(Code.INTERNAL, "")).headers)


def test_errors_of_other_kinds_are_rendered_too() -> None:
    assert document(LoadError(Code.LOAD_FAILED, "No file", fix=""))[0] == 500


def test_half_a_surrogate_pair_in_a_handlers_message_does_no_harm() -> None:
    assert document(RequestError(Code.MODEL_ERROR, "a\ud800"))[2] == "a?"
