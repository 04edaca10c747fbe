"""The logging and trace extensions: what the original's settings mean here, and what they cannot. Pure."""

from __future__ import annotations

from typing import Any

from salver.errors import RequestError
from salver.operations.base import Request
from salver.operations.server import LEVELS, Level, LogLevel, SetLogging
from salver.wire.jsonbody import JsonError, parse_json
from salver.wire.openinference.errors import Unsupported, invalid, shown

TRACE_OFF: dict[str, Any] = {
    "trace_level": ["OFF"],
    "trace_rate": "1000",
    "trace_count": "-1",
    "log_frequency": "0",
    "trace_file": "",
    "trace_mode": "triton",
}
NO_TRACE = "tracing is not supported by this server: the access log has the times of every request"
FORMAT = "default"
KINDS: dict[str, Level] = {
    "log_verbose_level": "debug",
    "log_info": "info",
    "log_warning": "warning",
    "log_error": "error",
}


def log_settings(result: LogLevel) -> dict[str, Any]:
    """The level in the original's words."""
    grade = LEVELS.index(result.level)
    return {
        "log_file": "",
        "log_info": grade <= LEVELS.index("info"),
        "log_warning": grade <= LEVELS.index("warning"),
        "log_error": True,
        "log_verbose_level": int(result.level == "debug"),
        "log_format": FORMAT,
    }


def wanted_kinds(wanted: dict[str, Any]) -> SetLogging:
    """The kinds of events that settings switch on or off.

    Raises RequestError(INVALID_INPUT) for what is no such setting, and what cannot be set.
    """
    for name, value in wanted.items():
        _check_log_setting(name, value)
    return SetLogging({kind: bool(wanted[name]) for name, kind in KINDS.items() if name in wanted})


def _check_log_setting(name: str, value: Any) -> None:
    if name in KINDS and name != "log_verbose_level":
        if type(value) is not bool:
            raise invalid(f"attempt to access JSON non-boolean as boolean in '{name}'")
        if name == "log_error" and not value:
            raise Unsupported("log_error cannot be switched off on this server")
    elif name == "log_verbose_level":
        if type(value) is not int or value < 0:
            raise invalid("attempt to access JSON non-unsigned-integer as unsigned-integer in 'log_verbose_level'")
    elif name == "log_format":
        if value != FORMAT:
            raise Unsupported("log_format cannot be changed: the log of this server is one JSON object for each line")
    elif name == "log_file":
        raise Unsupported("log file location can not be updated through network protocol")
    else:
        raise invalid(f"unknown log setting '{shown(name)}'")


def check_trace(wanted: dict[str, Any]) -> None:
    """Raises RequestError for any wish but what is so already; null asks for that."""
    for name, value in wanted.items():
        if name not in TRACE_OFF:
            raise invalid(f"unknown trace setting '{shown(name)}'")
        if value is not None and value != TRACE_OFF[name]:
            raise Unsupported(NO_TRACE)


def settings_object(request: Request) -> dict[str, Any]:
    """The body's object; nothing is an empty one. Raises RequestError(INVALID_INPUT)."""
    if not request.body.strip():
        return {}
    try:
        document = parse_json(request.body)
    except JsonError as error:
        raise _unreadable(error.fault.value) from error
    if type(document) is not dict:
        raise _unreadable("an object is needed")
    return document


def _unreadable(why: str) -> RequestError:
    return invalid(f"failed to parse the request JSON buffer: {why}")
