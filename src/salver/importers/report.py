"""What an import found, mapped and could not map, as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from salver.importers.base import Fate, Imported, ImportedModel, Remark
from salver.types import PolicyKind, VersionPolicy

WORDS = {Fate.MAPPED: "mapped", Fate.NEEDLESS: "not needed", Fate.UNSUPPORTED: "NOT MAPPED"}


def lines(imported: Imported) -> Iterator[str]:
    """The whole report: the server, then each model, then the count."""
    yield f"{imported.server}, from {imported.source}"
    yield from _remarks(imported.remarks)
    for model in imported.models:
        yield ""
        yield _headline(model)
        yield from _versions(model)
        yield from _remarks(model.remarks)
    yield ""
    yield summary(imported)


def summary(imported: Imported) -> str:
    whole = sum(model.is_whole and not model.problem for model in imported.models)
    missed = len(imported.missed)
    options = f"{missed} option{'' if missed == 1 else 's'} not mapped" if missed else "every option mapped"
    return f"{whole} of {len(imported.models)} models are served here; {options}"


def commands(imported: Imported) -> tuple[str, ...]:
    """What is to be said to the running server once, because it stands in no file."""
    return tuple(
        command
        for model in imported.models
        if model.served
        for command in (
            *((f"salver policy {model.name} {_policy(model.policy)}",) if model.policy and not model.files else ()),
            *(f"salver label {model.name} {label} {number}" for label, number in model.labels.items()),
        )
    )


def _policy(policy: VersionPolicy) -> str:
    if policy.kind is PolicyKind.SPECIFIC:
        return f"specific {' '.join(map(str, policy.versions))}"
    return "all" if policy.kind is PolicyKind.ALL else f"latest --count {policy.count}"


def _headline(model: ImportedModel) -> str:
    if model.problem is not None:
        return f"model {model.name}: NOT SERVED: {model.problem.message}. {model.problem.fix}"
    numbers = ", ".join(str(version.number) for version in model.versions)
    return f"model {model.name}: version{'' if len(model.versions) == 1 else 's'} {numbers}"


def _versions(model: ImportedModel) -> Iterator[str]:
    for version in model.versions:
        if version.problem is not None:
            yield f"  version {version.number}: NOT SERVED: {version.problem.message}. {version.problem.fix}"


def _remarks(remarks: Sequence[Remark]) -> Iterator[str]:
    for remark in remarks:
        yield f"  {WORDS[remark.fate]:<10}  {remark.option}: {remark.text}"
