"""The server's own events as JSON lines: an event's name and its fields, never a sentence with values in it."""

from __future__ import annotations

import json
import logging
import sys
import time

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """`log.warning("event", extra={...})` becomes one line."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        fields |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def level() -> str:
    """The least grave event that is logged."""
    return logging.getLevelName(logging.getLogger("salver").getEffectiveLevel()).lower()


def set_level(level: str) -> None:
    logging.getLogger("salver").setLevel(level.upper())


def configure(level: str) -> None:
    """Send the events of this package, at `level` and above, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger("salver")
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    root.propagate = False
