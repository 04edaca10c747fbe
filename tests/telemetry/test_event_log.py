"""The server's own events: lines of JSON on standard error."""

from __future__ import annotations

import json
import logging

import pytest

from salver.telemetry.logging import JsonFormatter, configure


@pytest.fixture
def as_before():
    root = logging.getLogger("salver")
    kept = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = kept


def test_an_event_is_its_name_and_its_fields(as_before, capsys) -> None:
    configure("info")
    logging.getLogger("salver.part").warning("something_happened", extra={"model": 'm"\n', "path": object})
    line = json.loads(capsys.readouterr().err)
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["logger"]) == ("warning", "something_happened", "salver.part")
    assert line["model"] == 'm"\n'
    assert "object" in line["path"]


def test_what_is_less_grave_is_left_out_and_nothing_is_said_twice(as_before, capsys) -> None:
    configure("warning")
    configure("warning")
    log = logging.getLogger("salver.part")
    log.info("quiet")
    log.error("loud")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == ["loud"]


def test_an_exception_is_one_field() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        record = logging.LogRecord(
            "salver", logging.ERROR, "f", 1, "failed", None, (type(error), error, error.__traceback__)
        )
    formatted = JsonFormatter().format(record)
    assert "\n" not in formatted
    assert "ValueError: a\nb" in json.loads(formatted)["exception"]
