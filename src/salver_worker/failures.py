"""What can go wrong in a worker, and the frames that tell the server of it.

    LoadFailure     the model cannot go live: FAILED
    PredictFailure  one batch has no answer: ERROR
    OutputInvalid   a PredictFailure: the model answered, but not what its signature says
    Cancelled       whoever asked does not wait any more; not an Exception, so that a model's own handlers let it pass

Messages are written for callers and operators; the text of a foreign exception goes to ``detail`` and ``traceback``.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, Dict, Optional, Sequence

from salver_worker.conversions.errors import ConversionError, OutputError
from salver_worker.errors import InputError

MAX_DETAIL_CHARACTERS = 16 * 1024
Header = Dict[str, Any]


class LoadFailure(Exception):
    """Why a model cannot go live. `where` is the key path in model.toml that is to blame, when one is."""

    def __init__(
        self, message: str, *, code: str = "LOAD_FAILED", fix: str = "", where: Optional[Sequence[Any]] = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.fix = fix
        self.where = where


class PredictFailure(Exception):
    """Why a batch has no answer. `status` is a number that the model's own code asked for."""

    def __init__(self, message: str, *, code: str = "MODEL_ERROR", status: Optional[int] = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class OutputInvalid(PredictFailure):
    """The model's answer does not fit its signature; the message is safe to show."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="OUTPUT_INVALID")


class Cancelled(BaseException):
    """The server asked for the running batch to stop."""


def error_header(error: BaseException) -> Header:
    """The ERROR header for an exception that a prediction raised."""
    code, message, status = _predict_case(error)
    detail = "" if isinstance(error, (InputError, Cancelled)) else trace(error)  # those say all in their message
    header: Header = {"code": code, "message": message, "exception": type(error).__name__, "detail": detail}
    if status is not None:
        header["status"] = status
    return header


def _predict_case(error: BaseException) -> tuple[str, str, Optional[int]]:
    if isinstance(error, PredictFailure):
        return error.code, error.message, error.status
    if isinstance(error, InputError):
        return "INVALID_INPUT", str(error), None
    if isinstance(error, OutputError):
        return "OUTPUT_INVALID", str(error), None
    if isinstance(error, Cancelled):
        return "CANCELLED", "the prediction was cancelled", None
    if is_out_of_memory(error):
        return "OUT_OF_MEMORY", "the model ran out of memory", None
    return "MODEL_ERROR", "the model failed to predict", None


def is_out_of_memory(error: BaseException) -> bool:
    """Python's own MemoryError, or the one that a framework names for its device."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def failed_header(error: BaseException) -> Header:
    """The FAILED header for an exception that loading raised."""
    failure = _load_case(error)
    cause = error.__cause__ if isinstance(error, LoadFailure) and error.__cause__ is not None else error
    return {
        "code": failure.code,
        "message": failure.message,
        "fix": failure.fix,
        "exception": type(cause).__name__,
        "traceback": trace(error),
        "where": None if failure.where is None else list(failure.where),
    }


def _load_case(error: BaseException) -> LoadFailure:
    if isinstance(error, LoadFailure):
        return error
    if isinstance(error, ConversionError):
        return LoadFailure(error.message, code="MANIFEST_INVALID", fix=error.fix, where=error.where)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return missing_module(error.name)
    if is_out_of_memory(error):
        return LoadFailure("there was not enough memory to load the model", fix="Give its process more memory.")
    return LoadFailure("loading raised %s" % describe(error))


def missing_module(name: str) -> LoadFailure:
    """The failure of an import, and where to install what is missing."""
    package = name.partition(".")[0]
    return LoadFailure(
        "the module %s is not installed in %s" % (name, sys.executable),
        code="ENVIRONMENT_BROKEN",
        fix="Install what provides `%s` there, or name another interpreter in [environment] of model.toml." % package,
    )


def describe(error: BaseException) -> str:
    """An exception in one line, without the package of its type; of source that does not parse, the place as well."""
    if isinstance(error, SyntaxError):
        line = "" if error.text is None else ": %s" % error.text.strip()
        place = "%s, line %s%s" % (os.path.basename(error.filename or "?"), error.lineno, line)
        return "%s: %s (%s)" % (type(error).__name__, error.msg, place)
    return ("%s: %s" % (type(error).__name__, error)).rstrip(": ")


def trace(error: BaseException) -> str:
    """The traceback as text, its end kept when it is long."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return text if len(text) <= MAX_DETAIL_CHARACTERS else "..." + text[-MAX_DETAIL_CHARACTERS:]
