"""What requirements files ask for, and whether packages that are there satisfy it. Pure: files come in as texts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from salver.errors import Code, LoadError

MAX_DEPTH = 8
MAX_BYTES = 1024 * 1024
CONSTRAINTS = {"mxnet": "numpy<1.24", "mxnet-cu112": "numpy<1.24"}
"""What packages forget to say of others: MXNet 1.9 names types that NumPy 1.24 no longer has."""
STAND_INS = {
    "tensorflow-cpu": ("tensorflow", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos", "tf-nightly"),
    "mlflow-skinny": ("mlflow",),
    "xgboost-cpu": ("xgboost",),
}
"""Packages that install the same modules as another one: beside it they would overwrite each other's files."""

_ADDRESS_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host")
_HASH = re.compile(r"--hash[ =](\S+)")
_PATH = re.compile(r"[./~]|[A-Za-z]:[\\/]|file:")
_ADDRESS = re.compile(r"(?:[a-z]+\+)?[a-z]+://", re.IGNORECASE)

Read = Callable[[str], str]
"""The text of another file, by its name as it is written. Raises LoadError."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What files of requirements ask for, and what of them is not done."""

    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    hashes: dict[str, tuple[str, ...]] = {}
    """Of each requirement that has any."""
    notes: tuple[str, ...] = ()

    @property
    def is_lock(self) -> bool:
        """Whether every package is of one version and has hashes."""
        pinned = [requirement for requirement in self.requirements if _is_pinned(requirement)]
        return bool(pinned) and pinned == [*self.requirements] and all(self.hashes.get(each) for each in pinned)


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """A package that is there: its version, and what it asks for itself."""

    version: str
    requires: tuple[str, ...] = ()


def parse_requirements(text: str, file: str, read: Read) -> Wishes:
    """What a file named `file` asks for, with those that it refers to. Raises LoadError that names file and line."""
    found = _Found()
    _parse(text, file, read, found, is_constraint=False, depth=0)
    return found.wishes()


def parse_lines(lines: Iterable[str], file: str) -> Wishes:
    """What single lines ask for, which cannot refer to files."""

    def refuse(name: str) -> str:
        raise _refused(f"{file} refers to the file {name}", "Write its lines out instead.")

    return parse_requirements("\n".join(lines), file, refuse)


def with_base(requirements: Sequence[str], base: Sequence[str]) -> tuple[str, ...]:
    """The requirements and those of `base` whose modules they do not bring already, in one order."""
    named = {_name(requirement) for requirement in requirements}
    wanted = {*requirements, *(each for each in base if named.isdisjoint((_name(each), *stand_ins(each))))}
    return tuple(sorted(wanted, key=lambda each: (_name(each), each)))


def stand_ins(requirement: str) -> tuple[str, ...]:
    """The names of the packages that bring the same modules."""
    return STAND_INS.get(_name(requirement), ())


def constraints_for(requirements: Iterable[str]) -> tuple[str, ...]:
    """What must be said beside the requirements so that they work."""
    return tuple(sorted({CONSTRAINTS[name] for each in requirements if (name := _name(each)) in CONSTRAINTS}))


def first_unmet(
    requirements: Iterable[str], installed: Callable[[str], Installed | None], variables: dict[str, str]
) -> str | None:
    """The first requirement that the installed packages do not satisfy, or None. `variables` are those of markers."""
    return next((each for each in requirements if not _is_met(Requirement(each), installed, variables, 0)), None)


def is_in_range(version: str, specifier: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def _is_met(
    wanted: Requirement, installed: Callable[[str], Installed | None], variables: dict[str, str], depth: int
) -> bool:
    if wanted.marker is not None and not wanted.marker.evaluate({"extra": "", **variables}):
        return True
    found = installed(canonicalize_name(wanted.name))
    if found is None or not wanted.specifier.contains(found.version, prereleases=True):
        return False
    inner = [Requirement(each) for each in found.requires] if wanted.extras and depth < MAX_DEPTH else []
    return all(
        _is_met(each, installed, {**variables, "extra": extra}, depth + 1)
        for extra in wanted.extras
        for each in inner
        if each.marker is not None and "extra" in str(each.marker)
    )


class _Found:
    def __init__(self) -> None:
        self.requirements: dict[str, tuple[str, ...]] = {}
        self.constraints: set[str] = set()
        self.notes: list[str] = []

    def wishes(self) -> Wishes:
        ordered = sorted(self.requirements, key=lambda each: (_name(each), each))
        return Wishes(
            requirements=tuple(ordered),
            constraints=tuple(sorted(self.constraints)),
            hashes={each: self.requirements[each] for each in ordered if self.requirements[each]},
            notes=tuple(dict.fromkeys(self.notes)),
        )


def _parse(text: str, file: str, read: Read, found: _Found, *, is_constraint: bool, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(f"{file} is referred to from files that refer to each other", "Let no file refer to itself.")
    for number, line in _lines(text):
        place = f"{file}, line {number}"
        if not line.startswith("-"):
            requirement, hashes = _requirement(line, place)
            if is_constraint:
                found.constraints.add(requirement)
            else:
                found.requirements[requirement] = hashes
            continue
        option, value = _option(line)
        if option in ("-r", "--requirement", "-c", "--constraint"):
            is_inner = is_constraint or option in ("-c", "--constraint")
            _parse(read(value), value, read, found, is_constraint=is_inner, depth=depth + 1)
        elif option in ("-e", "--editable"):
            raise _refused(f"{place}: an editable package is not of an index", "Build a wheel of it for `wheels_dir`.")
        elif option in _ADDRESS_OPTIONS:
            found.notes.append(f"{place}: {option} is not used; the server's settings say where packages come from")
        else:
            found.notes.append(f"{place}: {option} is not used")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What is on each line, with the lines that it goes on in, and its number."""
    pending, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        start = start if pending else number
        line = re.sub(r"(^|\s)#.*$", "", raw)
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        whole, pending = (pending + line).strip(), ""
        if whole:
            yield start, whole
    if pending.strip():
        yield start, pending.strip()


def _option(line: str) -> tuple[str, str]:
    """`--index-url=x`, `-r x` and `-rx` alike."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    option, _, value = words[0].partition("=")
    if not option.startswith("--") and len(option) > 2:
        option, value = option[:2], words[0][2:]
    return option, value or (words[1] if len(words) > 1 else "")


def _requirement(line: str, place: str) -> tuple[str, tuple[str, ...]]:
    hashes = tuple(sorted(_HASH.findall(line)))
    text = _HASH.sub("", line)
    text = re.split(r"\s--", text)[0].strip()
    if _ADDRESS.match(text) or _PATH.match(text):
        raise _refused(f"{place}: {text} is an address or a path, not a package of an index", _WHEEL)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        cause = str(error).partition("\n")[0]
        raise _refused(f"{place}: {text!r} is no requirement: {cause}", "Write it as `name==1.2.3`.") from error
    if requirement.url is not None:
        raise _refused(f"{place}: {requirement.name} is to come from an address", _WHEEL)
    requirement.name = canonicalize_name(requirement.name)
    return str(requirement), hashes


def _is_pinned(requirement: str) -> bool:
    specifiers = list(Requirement(requirement).specifier)
    return len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


_WHEEL = "Name the package and its version; put what no index has into the folder `wheels_dir`."


def _refused(message: str, fix: str) -> LoadError:
    return LoadError(Code.ENVIRONMENT_BROKEN, f"{message}.", fix=fix)
