"""Threads of OpenMP, which tree libraries share their work among."""

from __future__ import annotations

import os

from salver_worker.failures import LoadFailure


def let_threads_sleep() -> None:
    """Idle threads wait without burning their neighbours' processor. Only before the library is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def without_openmp(library: str, error: OSError) -> LoadFailure:
    """The failure of an import whose shared library does not load."""
    return LoadFailure(
        "%s cannot be opened: %s" % (library, error),
        code="ENVIRONMENT_BROKEN",
        fix="Install the system's OpenMP library (`libgomp1` with Debian, `libgomp` with Fedora).",
    )
