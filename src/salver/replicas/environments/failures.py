"""Why a build failed, from the last words of uv. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from salver.replicas.environments.base import BuildFailed

KEPT_LINES = 30

_REASONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("hash mismatch",),
        "a file that the index gave is not the one that the lock means",
        "Find out who changed it. If the new file is right, make the lock anew with `salver env lock`.",
    ),
    (
        ("no space left on device", "os error 28", "disk quota exceeded", "file too large"),
        "the disk is full, or a file is larger than allowed",
        "Make room, or `salver env prune`; then `salver load` tries it again.",
    ),
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


def build_failure(step: str, lines: Sequence[str]) -> BuildFailed:
    """What to tell of a step, a clause as `resolving its requirements`, that ended with these lines."""
    kept = tuple(line.rstrip() for line in lines if line.strip())[-KEPT_LINES:]
    text = " ".join(" ".join(kept).lower().split())  # uv breaks long lines
    for signs, reason, fix in _REASONS:
        if any(sign in text for sign in signs):
            return BuildFailed(f"The environment could not be built: {step}, {reason}.", fix=fix, lines=kept)
    return BuildFailed(
        f"The environment could not be built: {step} failed.",
        fix="The last lines say why; when it is mended, `salver load` tries it again.",
        lines=kept,
    )
