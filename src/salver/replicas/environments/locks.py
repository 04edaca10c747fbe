"""Locks: exact versions, a hash for each file, and no address of anything. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from salver.errors import Code, LoadError
from salver.replicas.environments.base import Interpreter, Lock, Pin
from salver.replicas.environments.requirements import parse_lines

WORKER_NEEDS = "numpy"
"""What every worker imports besides the standard library."""


def lock_text(hashes: Mapping[str, Sequence[str]]) -> str:
    """The text of a lock: each requirement with its hashes, without comments, and nothing of where it was made."""
    blocks = []
    for requirement, each in hashes.items():
        lines = [requirement, *(f"    --hash={value}" for value in each)]
        blocks.append(" \\\n".join(lines) + "\n")
    return "".join(blocks)


def read_lock(text: str, origin: str) -> Lock:
    """A lock of the text that uv, pip-compile or people wrote. Raises LoadError for what is not locked."""
    wishes = parse_lines(text.splitlines(), origin)
    for requirement in wishes.requirements:
        specifiers = list(Requirement(requirement).specifier)
        is_exact = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version
        if not is_exact or requirement not in wishes.hashes:
            lacks = "a hash" if is_exact else "an exact version"
            raise _refused(f"{origin} is no lock: {requirement} lacks {lacks}")
    pins = tuple(_pin(requirement) for requirement in wishes.requirements)
    if WORKER_NEEDS not in {pin.name for pin in pins}:
        raise _refused(f"{origin} has no {WORKER_NEEDS}, which the process of every model needs")
    return Lock(text=lock_text({each: wishes.hashes[each] for each in wishes.requirements}), pins=pins)


def environment_id(kind: str, lock: Lock, interpreter: Interpreter) -> str:
    """What tells one environment from another: the same for all that would be the same on this machine."""
    parts = f"{kind}\n{lock.digest}\n{interpreter.identity}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def pins_for(lock: Lock, interpreter: Interpreter) -> tuple[Pin, ...]:
    """Those that are installed with this interpreter."""
    variables = {"python_version": interpreter.series, "python_full_version": interpreter.version, "extra": ""}
    return tuple(
        pin
        for pin in lock.pins
        if not pin.marker or Requirement(f"x;{pin.marker}").marker.evaluate(variables)  # type: ignore[union-attr]
    )


def _pin(requirement: str) -> Pin:
    parsed = Requirement(requirement)
    version = next(iter(parsed.specifier)).version
    return Pin(canonicalize_name(parsed.name), version, "" if parsed.marker is None else str(parsed.marker))


def _refused(message: str) -> LoadError:
    fix = "Make it with `salver env lock requirements.txt`."
    return LoadError(Code.ENVIRONMENT_BROKEN, f"{message}.", fix=fix)
