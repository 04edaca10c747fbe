"""What a package's model is to run in: as somebody says, else as `salver serve` finds, else as installed here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver.models.sources import ModelSource
from salver.packaging.base import PackagingFailed, Wanted
from salver.packaging.installed import pinned
from salver.packaging.staging import Staged
from salver.replicas.environments.base import PYTHON, EnvironmentRequest
from salver.replicas.environments.locks import WORKER_NEEDS, read_lock
from salver.replicas.environments.pythons import is_found_by_version
from salver.replicas.environments.requirements import (
    Wishes,
    constraints_for,
    parse_lines,
    parse_requirements,
    with_base,
)
from salver_worker.runtimes.specs import spec_named


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built, and what the user should know of how it was found."""

    request: EnvironmentRequest
    notes: tuple[str, ...] = ()


def needs_of(wanted: Wanted, source: ModelSource, staged: Staged) -> Needs:
    """Raises PackagingFailed, LoadError."""
    python = wanted.python or source.manifest.environment.python or ""
    needs = _packages(wanted, source, staged)
    if not wanted.python:
        python = python or needs.request.python
    if not is_found_by_version(python):
        raise PackagingFailed(
            f"The model's model.toml names the interpreter {python}, which only this machine has.",
            fix="Say which version it is with --python, and which packages it has with --requirements.",
        )
    return replace(needs, request=replace(needs.request, python=python))


def _packages(wanted: Wanted, source: ModelSource, staged: Staged) -> Needs:
    spec = spec_named(source.recognition.runtime)
    base = (WORKER_NEEDS, *(() if spec is None else spec.requirements))
    if wanted.lock is not None:
        text = _text(wanted.lock)
        read_lock(text, str(wanted.lock))
        return Needs(request=EnvironmentRequest(lock=text, origin=str(wanted.lock)))
    if wanted.requirements:
        return _needs(_wishes(wanted.requirements), base, "--requirements")
    if source.wish is not None and source.wish.request.kind == PYTHON:
        told = [_told(source.wish.request)] if source.wish.request.is_inferred else []
        return Needs(request=source.wish.request, notes=tuple(told))
    return _as_installed(staged, base)


def _as_installed(staged: Staged, base: Sequence[str]) -> Needs:
    """What the code imports, in the versions of this interpreter."""
    found = pinned(staged.modules)
    notes = tuple(
        f"no package here has the module {name}, which the code imports; --requirements or --code brings it"
        for name in found.unknown
    )
    if found.requirements:
        told = ", ".join(found.requirements)
        notes = (f"nobody said which packages it needs; as installed here: {told}", *notes)
    needs = _needs(Wishes(requirements=found.requirements), base, "this interpreter")
    return replace(needs, notes=notes)


def _told(request: EnvironmentRequest) -> str:
    return f"nobody said which packages it needs; as the artefact tells: {', '.join(request.requirements)}"


def _needs(wishes: Wishes, base: Sequence[str], origin: str) -> Needs:
    requirements = with_base(wishes.requirements, base)
    request = EnvironmentRequest(
        requirements=requirements,
        constraints=tuple(sorted({*wishes.constraints, *constraints_for(requirements)})),
        origin=origin,
    )
    return Needs(request=request, notes=wishes.notes)


def _wishes(given: Sequence[str]) -> Wishes:
    """Files and single lines together."""
    files = [parse_requirements(_text(Path(each)), each, _beside(Path(each))) for each in given if Path(each).is_file()]
    lines = parse_lines([each for each in given if not Path(each).is_file()], "--requirements")
    every = [*files, lines]
    return Wishes(
        requirements=tuple(sorted({each for wishes in every for each in wishes.requirements})),
        constraints=tuple(sorted({each for wishes in every for each in wishes.constraints})),
        notes=tuple(note for wishes in every for note in wishes.notes),
    )


def _beside(file: Path) -> Callable[[str], str]:
    """Reads the files that a file of requirements refers to."""
    return lambda name: _text(file.parent / name)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PackagingFailed(f"{path} cannot be read: {error}.", fix="Give a file of requirements.") from error
