"""Addresses that Triton has and this server does not, each with a text that says so. Pure."""

from __future__ import annotations

import re

from salver.wire.openinference.request import NO_SHARED_MEMORY

NO_REPOSITORY_NAME = "'repository_name' specification is not supported"

REFUSALS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"/v2/(?:system|cuda)sharedmemory/.*", NO_SHARED_MEMORY),
        (r"/v2/repository/(?!models/)[^/]+/(?:index|models/.*)", NO_REPOSITORY_NAME),
    )
)


def refusal_of(path: str) -> str | None:
    """Why nothing answers at an address; None for one that Triton does not have either."""
    return next((text for pattern, text in REFUSALS if pattern.fullmatch(path)), None)
