"""What the server is told of an exception, and what it is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salver_worker.conversions.errors import ConversionError, OutputError
from salver_worker.errors import InputError
from salver_worker.failures import (
    MAX_DETAIL_CHARACTERS,
    Cancelled,
    LoadFailure,
    OutputInvalid,
    PredictFailure,
    error_header,
    failed_header,
)


class OutOfMemoryError(RuntimeError):
    """As frameworks call it."""


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("age must be positive"), "INVALID_INPUT", "age must be positive"),
        (OutputInvalid("no rows"), "OUTPUT_INVALID", "no rows"),
        (OutputError("not a score"), "OUTPUT_INVALID", "not a score"),
        (PredictFailure("Prediction failed", status=503), "MODEL_ERROR", "Prediction failed"),
        (Cancelled(), "CANCELLED", "the prediction was cancelled"),
        (MemoryError(), "OUT_OF_MEMORY", "the model ran out of memory"),
        (OutOfMemoryError("CUDA"), "OUT_OF_MEMORY", "the model ran out of memory"),
        (ValueError("secret"), "MODEL_ERROR", "the model failed to predict"),
        (SystemExit(1), "MODEL_ERROR", "the model failed to predict"),
    ],
)
def test_an_exception_becomes_a_code_and_a_safe_message(error: BaseException, code: str, message: str) -> None:
    header = error_header(raised(error))
    assert (header["code"], header["message"]) == (code, message)
    assert header["exception"] == type(error).__name__
    json.dumps(header)


def test_the_text_of_a_foreign_exception_is_in_the_detail_alone() -> None:
    header = error_header(raised(ValueError("secret")))
    assert "secret" not in header["message"]
    assert "ValueError: secret" in header["detail"]


def test_a_status_is_told_only_where_one_was_asked_for() -> None:
    assert error_header(PredictFailure("no", status=507))["status"] == 507
    assert "status" not in error_header(ValueError())


def test_a_long_traceback_keeps_its_end() -> None:
    detail = error_header(raised(ValueError("x" * 100_000 + "the end")))["detail"]
    assert detail.endswith("the end\n")
    assert len(detail) == MAX_DETAIL_CHARACTERS + 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            LoadFailure("no", code="EXAMPLE_MISMATCH", fix="do", where=["example", "expect"]),
            {"code": "EXAMPLE_MISMATCH", "message": "no", "fix": "do", "where": ["example", "expect"]},
        ),
        (
            ConversionError("bad step", ["inputs", 0, "convert", 1], "mend it"),
            {"code": "MANIFEST_INVALID", "message": "bad step", "fix": "mend it", "where": ["inputs", 0, "convert", 1]},
        ),
        (MemoryError(), {"code": "LOAD_FAILED", "fix": "Give its process more memory."}),
        (
            ValueError("bad file"),
            {"code": "LOAD_FAILED", "message": "loading raised ValueError: bad file", "where": None},
        ),
        (ModuleNotFoundError("no name"), {"message": "loading raised ModuleNotFoundError: no name"}),
    ],
)
def test_a_failed_load_names_cause_and_fix(error: BaseException, expected: dict[str, Any]) -> None:
    header = failed_header(raised(error))
    assert {key: header[key] for key in expected} == expected
    assert type(error).__name__ in header["traceback"]


def test_a_missing_module_names_the_package_and_the_interpreter() -> None:
    import sys

    header = failed_header(ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn"))
    assert header["code"] == "ENVIRONMENT_BROKEN"
    assert header["message"] == f"the module torch.nn is not installed in {sys.executable}"
    assert "`torch`" in header["fix"]


def test_the_exception_of_a_failed_load_is_the_one_that_caused_it() -> None:
    failure = LoadFailure("the model failed on its own example")
    failure.__cause__ = KeyError("x")
    assert failed_header(failure)["exception"] == "KeyError"
    assert failed_header(LoadFailure("no"))["exception"] == "LoadFailure"


def test_a_syntax_error_shows_the_line() -> None:
    with pytest.raises(SyntaxError) as caught:
        compile("x = (", "app.py", "exec")
    assert "x = (" in failed_header(caught.value)["message"]
