"""Addresses that Triton has and this server does not, each with a text that says so. Pure."""

from __future__ import annotations

import re

from salver.wire.openinference.request import NO_SHARED_MEMORY

NO_STATISTICS = "statistics are not supported over this protocol. GET /metrics tells requests, batches and times"
NO_REPOSITORY_NAME = "'repository_name' specification is not supported"
NO_GENERATE = "generate is not supported by this server. Please use infer"
NO_LOGGING = "the log is set by the settings of this server"
NO_TRACE = "tracing is not supported by this server"

_MODEL = r"/v2/models/[^/]+(?:/versions/[0-9]+)?"
REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"/v2/(?:system|cuda)sharedmemory/.*", NO_SHARED_MEMORY),
        (r"/v2/models/stats|" + _MODEL + "/stats", NO_STATISTICS),
        (_MODEL + r"/generate(?:_stream)?", NO_GENERATE),
        (r"/v2/logging", NO_LOGGING),
        (r"/v2(?:/models/[^/]+)?/trace/setting", NO_TRACE),
        (r"/v2/repository/(?!models/)[^/]+/(?:index|models/.*)", NO_REPOSITORY_NAME),
    )
)


def refusal_of(path: str) -> str | None:
    """Why nothing answers at an address; None for one that Triton does not have either."""
    return next((text for pattern, text in REFUSALS if pattern.fullmatch(path)), None)
