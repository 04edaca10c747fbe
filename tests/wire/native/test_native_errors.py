import orjson
import pytest

from salver.errors import Code, LoadError, RequestError
from salver.wire.native.errors import STATUS, error_answer


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_status_and_the_one_shape(code: Code) -> None:
    answer = error_answer(RequestError(code, "The cause.", fix="The fix."), "r-1")

    assert answer.status == STATUS[code]
    assert 400 <= answer.status <= 599
    assert answer.content_type == "application/json"
    assert orjson.loads(answer.body) == {
        "error": {"code": code.value, "message": "The cause.", "fix": "The fix.", "request_id": "r-1"}
    }
    assert ("X-Request-Id", "r-1") in answer.headers


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.INVALID_INPUT, 400),
        (Code.UNAUTHENTICATED, 401),
        (Code.PERMISSION_DENIED, 403),
        (Code.MODEL_NOT_FOUND, 404),
        (Code.METHOD_NOT_ALLOWED, 405),
        (Code.PAYLOAD_TOO_LARGE, 413),
        (Code.UNSUPPORTED_MEDIA_TYPE, 415),
        (Code.QUOTA_EXCEEDED, 429),
        (Code.CANCELLED, 499),
        (Code.MODEL_ERROR, 500),
        (Code.OVERLOADED, 503),
        (Code.MODEL_NOT_READY, 503),
        (Code.WORKER_DIED, 503),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.OUT_OF_MEMORY, 507),
    ],
)
def test_the_statuses_that_clients_rely_on(code: Code, status: int) -> None:
    assert STATUS[code] == status


def test_the_table_has_no_row_too_many() -> None:
    assert set(STATUS) == set(Code)


@pytest.mark.parametrize(
    ("code", "retry_after_s", "expected"),
    [
        (Code.OVERLOADED, None, "1"),
        (Code.QUOTA_EXCEEDED, 0.2, "1"),
        (Code.WORKER_DIED, 2.1, "3"),
        (Code.CONFLICT, 5.0, "5"),
    ],
)
def test_whoever_may_come_again_hears_when(code: Code, retry_after_s: float | None, expected: str) -> None:
    answer = error_answer(RequestError(code, "x", retry_after_s=retry_after_s), "r")

    assert dict(answer.headers)["Retry-After"] == expected


def test_an_error_that_lasts_names_no_time() -> None:
    assert "Retry-After" not in dict(error_answer(RequestError(Code.MODEL_ERROR, "x"), "r").headers)


def test_a_caller_without_a_key_hears_how_to_send_one() -> None:
    assert dict(error_answer(RequestError(Code.UNAUTHENTICATED, "x"), "r").headers)["WWW-Authenticate"] == "Bearer"


def test_a_wrong_method_hears_the_right_ones() -> None:
    answer = error_answer(RequestError(Code.METHOD_NOT_ALLOWED, "x"), "r", ("GET", "POST"))

    assert dict(answer.headers)["Allow"] == "GET, POST"


@pytest.mark.parametrize(("asked", "status"), [(418, 418), (200, 500), (None, 500), (999, 500)])
def test_a_model_s_own_code_may_choose_an_error_status(asked: int | None, status: int) -> None:
    assert error_answer(RequestError(Code.MODEL_ERROR, "x", status=asked), "r").status == status


def test_only_a_model_s_own_code_may_choose_a_status() -> None:
    assert error_answer(RequestError(Code.OVERLOADED, "x", status=418), "r").status == 503
    assert error_answer(LoadError(Code.LOAD_FAILED, "x"), "r").status == 422


def test_a_message_that_utf8_cannot_carry_is_still_an_answer() -> None:
    answer = error_answer(RequestError(Code.INVALID_INPUT, "no \ud800 such"), "r")

    assert orjson.loads(answer.body)["error"]["message"] == "no ? such"


def test_what_is_for_the_log_stays_there() -> None:
    answer = error_answer(RequestError(Code.INTERNAL, "A fault.", log_detail="/home/secret.py line 3"), "r")

    assert b"secret" not in answer.body


def test_without_a_request_id_no_header_claims_one() -> None:
    answer = error_answer(RequestError(Code.INVALID_INPUT, "x"), "")

    assert answer.headers == ()
    assert orjson.loads(answer.body)["error"]["request_id"] == ""
