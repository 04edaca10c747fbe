"""renv.lock: packages of R in exact versions, and the hashes of their files once those are known. Pure.

The hash that renv itself writes is of some fields of a package, not of its file. `Sha256` beside it is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from salver.errors import Code, LoadError, StartupError
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest, Lock, Pin, R

FILE = "renv.lock"
TOOL = "renv"
"""The package that wrote the lock; a model does not need it."""
OF_REPOSITORIES = frozenset({"Repository", "CRAN", "RSPM", "Bioconductor"})
MOST_NAMED = 8
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.]*[A-Za-z0-9]")
_VERSION = re.compile(r"\d+(?:[.-]\d+)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_NEEDS = ("Depends", "Imports", "LinkingTo")


class RPackage(msgspec.Struct, frozen=True, kw_only=True):
    """One package of a lock."""

    name: str
    version: str
    source: str = "Repository"
    """Where renv had it from; only what comes from repositories can be installed here."""
    sha256: str = ""
    """Of its file; a package that has one is installed, and the others are those of the R at hand."""

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version}.tar.gz"

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


class RenvLock(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    """Of the R with which it was made."""
    packages: tuple[RPackage, ...]
    """By name."""

    @property
    def text(self) -> str:
        """As renv reads it, without what does not count."""
        rows = {
            each.name: {
                "Package": each.name,
                "Version": each.version,
                "Source": each.source,
                **({"Sha256": each.sha256} if each.sha256 else {}),
            }
            for each in self.packages
        }
        return json.dumps({"R": {"Version": self.version}, "Packages": rows}, indent=2) + "\n"

    @property
    def lock(self) -> Lock:
        return Lock(text=self.text, pins=tuple(Pin(each.name, each.version) for each in self.packages))


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of a package's DESCRIPTION."""

    name: str
    version: str
    needs: tuple[str, ...]
    built: str
    """The version of R that built it; empty: it comes as source."""


def parse_renv(text: str, origin: str) -> RenvLock:
    """Raises LoadError for what is no lock of renv, and for names that are none of R."""
    try:
        document = json.loads(text)
        version = str(document["R"]["Version"])
        rows = {str(name): dict(row) for name, row in document["Packages"].items() if name != TOOL}
        packages = tuple(_package(name, row) for name, row in sorted(rows.items()))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LoadError(
            Code.ENVIRONMENT_BROKEN, f"{origin} is no lock of renv.", fix="Write it with renv::snapshot()."
        ) from error
    if not _VERSION.fullmatch(version):
        raise _refused(f"{origin} names no version of R but {version[:32]!r}")
    for each in packages:
        if not _NAME.fullmatch(each.name) or not _VERSION.fullmatch(each.version):
            raise _refused(f"{origin} has {each.label[:64]!r}, which is no package of R in an exact version")
        if each.sha256 and not _HASH.fullmatch(each.sha256):
            raise _refused(f"{origin} has a Sha256 for {each.name} that is none")
    return RenvLock(version=version, packages=packages)


def renv_request(text: str, origin: str) -> EnvironmentRequest:
    """What a renv.lock asks for. Raises LoadError."""
    renv = parse_renv(text, origin or FILE)
    return EnvironmentRequest(
        kind=R,
        python=renv.version,
        requirements=tuple(f"{each.name}=={each.version}" for each in renv.packages),
        lock=renv.text,
        origin=origin,
    )


def is_there(package: RPackage, installed: Mapping[str, str]) -> bool:
    """Whether R has it in this version; 4.7-1.1 and 4.7.1.1 are the same."""
    return installed.get(package.name, "").replace("-", ".") == package.version.replace("-", ".")


def addresses(package: RPackage, repositories: Iterable[str]) -> tuple[str, ...]:
    """Where it may lie: the newest version of a package beside its index, older ones in the archive."""
    return tuple(
        f"{repository.rstrip('/')}/src/contrib/{folder}{package.file}"
        for repository in repositories
        for folder in ("", f"Archive/{package.name}/")
    )


def parse_description(text: str) -> Description:
    """The fields of a DESCRIPTION; what is not there is empty."""
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line[:1].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    needs = [part.split("(")[0].strip() for field in _NEEDS for part in fields.get(field, "").split(",")]
    built = _VERSION.search(fields.get("Built", ""))
    return Description(
        name=fields.get("Package", ""),
        version=fields.get("Version", ""),
        needs=tuple(dict.fromkeys(need for need in needs if need and need != "R")),
        built="" if built is None else built.group(),
    )


def check_repositories(addresses: Iterable[str]) -> None:
    """Raises StartupError for an address whose files anybody on the way could exchange."""
    for address in addresses:
        if not address.startswith(("https://", "file:///")):
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"`r_repositories` names {address[:200]!r}, which is no address of a repository of R packages.",
                fix="Give an https:// address, or file:// with the absolute path of a folder.",
            )


def check_sources(packages: Sequence[RPackage]) -> None:
    """Raises BuildFailed for packages that no repository has."""
    others = [f"{each.label} ({each.source})" for each in packages if each.source not in OF_REPOSITORIES]
    if others:
        raise BuildFailed(
            f"R lacks packages that do not come from a repository: {listed(others)}.",
            fix="Install them into a library that `r_libraries` names, or put them into a repository of your own and "
            "make the lock of that.",
        )


def check_descriptions(
    descriptions: Sequence[Description], installed: Iterable[str], *, r_version: str, may_build: bool
) -> None:
    """Raises BuildFailed when they may not be installed here, or need what is neither among them nor installed."""
    sources = [f"{each.name} {each.version}" for each in descriptions if not each.built]
    if sources and not may_build:
        raise BuildFailed(
            f"Packages of R come as source, and building is not allowed: {listed(sources)}.",
            fix="Set `allow_source_packages`, which lets code of theirs run as the server's user; or name a repository "
            "that has them built, or a library that has them with `r_libraries`.",
        )
    alien = [each for each in descriptions if each.built and _series(each.built) != _series(r_version)]
    if alien:
        raise BuildFailed(
            f"{alien[0].name} {alien[0].version} was built for R {alien[0].built}, and this is R {r_version}.",
            fix="Name a repository for this R in `r_repositories`, or another R in `r_interpreters`.",
        )
    there = {*installed, *(each.name for each in descriptions)}
    lacking = [f"{need} (of {each.name})" for each in descriptions for need in each.needs if need not in there]
    if lacking:
        raise BuildFailed(
            f"{FILE} lacks packages that others need: {listed(lacking)}.",
            fix="Make it again with renv::snapshot() where the model works.",
        )


def in_order(descriptions: Sequence[Description]) -> tuple[Description, ...]:
    """Each after those that it needs."""
    left = {each.name: each for each in descriptions}
    done: list[Description] = []
    while left:
        ready = [each for each in left.values() if not any(need in left for need in each.needs if need != each.name)]
        for each in ready or left.values():  # R says what is wrong with a circle
            done.append(each)
        left = {each.name: each for each in left.values() if each not in done}
    return tuple(done)


def listed(words: Sequence[str]) -> str:
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _package(name: str, row: Mapping[str, object]) -> RPackage:
    source, sha256 = str(row.get("Source", "Repository")), str(row.get("Sha256", ""))
    return RPackage(name=name, version=str(row["Version"]), source=source, sha256=sha256)


def _series(version: str) -> list[str]:
    return version.split(".")[:2]


def _refused(message: str) -> LoadError:
    return LoadError(Code.ENVIRONMENT_BROKEN, f"{message}.", fix="Write it with renv::snapshot().")
