"""Why a build failed, from the last words of whoever tried. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from salver.replicas.environments.base import BuildFailed

KEPT_LINES = 30

_Reasons: TypeAlias = tuple[tuple[tuple[str, ...], str, str], ...]
"""Signs, what is wrong, and what mends it."""

_DISK = (
    ("no space left on device", "os error 28", "disk quota exceeded", "file too large"),
    "the disk is full, or a file is larger than allowed",
    "Make room, or `salver env prune`; then `salver load` tries it again.",
)
_REASONS: _Reasons = (
    (
        ("hash mismatch",),
        "a file that the index gave is not the one that the lock means",
        "Find out who changed it. If the new file is right, make the lock anew with `salver env lock`.",
    ),
    _DISK,
    (
        ("no usable wheels", "no wheels", "building from source is disabled", "no `wheel`", "no-build", "no matching"),
        "a package has no wheel for this interpreter",
        "Choose a version that has one, put a wheel of it into `wheels_dir`, or allow `allow_source_packages`.",
    ),
    (
        ("error sending request", "dns error", "connect error", "connection refused", "timed out", "certificate"),
        "the package index cannot be reached",
        "Check the network and the setting `package_index`, or use `wheels_dir` with `offline`; then `salver load`.",
    ),
    (
        ("401 unauthorized", "403 forbidden", "authentication"),
        "the package index refuses this server",
        "Give the credentials that it wants in `package_index` or pip's settings.",
    ),
    (
        (
            "was not found in the package registry",
            "was not found in the provided package locations",
            "was not found in the cache",
        ),
        "there is no package of this name where the server looks",
        "Correct the name, or put a wheel of it into `wheels_dir`.",
    ),
    (
        ("no solution found", "unsatisfiable", "conflict"),
        "the requirements cannot be met together",
        "The last lines say which contradict each other, or what is not there; loosen one of them.",
    ),
)

_R_REASONS: _Reasons = (
    (
        ("hash mismatch",),
        "a file that a repository gave is not the one that the lock means",
        "Find out who changed it. If the new file is right, make the lock anew with `salver env lock`.",
    ),
    _DISK,
    (
        ("could not resolve host", "couldn't connect", "failed to connect", "timed out", "timeout", "certificate"),
        "a repository of R packages cannot be reached",
        "Check the network and the setting `r_repositories`; then `salver load`.",
    ),
    (
        ("missing ",),
        "no repository has a package in the version that is wanted",
        "The last lines say which; put it into a repository that `r_repositories` names, or make the lock again.",
    ),
    (
        ("fatal error:", "cannot find -l", "compilation failed", "configure: error", "command not found"),
        "a package cannot be compiled here",
        "The last lines say what is not there: a compiler, a header or a library of the system. Install it.",
    ),
)


def build_failure(step: str, lines: Sequence[str]) -> BuildFailed:
    """What to tell of a step of uv, a clause as `resolving its requirements`, that ended with these lines."""
    return _failure(step, lines, _REASONS)


def r_failure(step: str, lines: Sequence[str]) -> BuildFailed:
    """The same of a step of R."""
    return _failure(step, lines, _R_REASONS)


def _failure(step: str, lines: Sequence[str], reasons: _Reasons) -> BuildFailed:
    kept = tuple(line.rstrip() for line in lines if line.strip())[-KEPT_LINES:]
    text = " ".join(" ".join(kept).lower().split())  # uv breaks long lines
    for signs, reason, fix in reasons:
        if any(sign in text for sign in signs):
            return BuildFailed(f"The environment could not be built: {step}, {reason}.", fix=fix, lines=kept)
    return BuildFailed(
        f"The environment could not be built: {step} failed.",
        fix="The last lines say why; when it is mended, `salver load` tries it again.",
        lines=kept,
    )
