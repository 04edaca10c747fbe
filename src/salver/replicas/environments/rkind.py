"""Environments of R: a library of packages, installed by the R that is there, from repositories like CRAN."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from salver.replicas.environments.base import (
    LANGUAGES,
    BuildFailed,
    EnvironmentRequest,
    EnvironmentSettings,
    Interpreter,
    Lock,
    Pin,
    R,
    Tell,
    counted,
)
from salver.replicas.environments.cage import home_of, local_paths
from salver.replicas.environments.failures import r_failure
from salver.replicas.environments.pipsettings import PASSED
from salver.replicas.environments.programs import Programs
from salver.replicas.environments.renv import (
    FILE,
    Description,
    RenvLock,
    RPackage,
    addresses,
    check_descriptions,
    check_repositories,
    check_sources,
    in_order,
    is_there,
    listed,
    parse_description,
    parse_renv,
)
from salver.replicas.environments.rscripts import Rscripts

LIBRARIES_VARIABLE = "R_LIBS"
"""R's own variable."""
PROGRAMS_VARIABLE = "SALVER_RSCRIPT"
"""What `salver_worker/runtimes/r_program.py` reads."""
LIBRARY = "library"
MAX_DESCRIPTION_BYTES = 1024 * 1024
FETCH = Path(__file__).with_name("rfetch.R")


class RKind:
    language = LANGUAGES[R]

    def __init__(self, settings: EnvironmentSettings, environment: Mapping[str, str], sources: Path) -> None:
        """`sources` is the folder of what was downloaded. Raises StartupError for what is no repository."""
        check_repositories(settings.r_repositories)
        self._settings = settings
        self._sources = sources
        self._variables = {
            "PATH": os.defpath,
            **{name: environment[name] for name in PASSED if name in environment and not name.startswith("UV_")},
            "LC_ALL": "C.UTF-8",
            "LANGUAGE": "en",
        }
        self._rscripts = Rscripts(settings.r_interpreters, self._variables)
        places = (path for each in settings.r_repositories for path in local_paths(each))
        self._programs = Programs(
            settings, r_failure, readable=(str(FETCH.parent), str(sources), *settings.r_libraries, *places)
        )

    async def find(self, request: EnvironmentRequest) -> Interpreter:
        return await self._rscripts.find(request.python)

    def read(self, text: str, origin: str) -> Lock:
        return parse_renv(text, origin).lock

    async def known(self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter) -> Lock | None:
        renv = _asked(request, kept)
        return None if await self._lacking(renv, interpreter) else renv.lock

    async def resolve(
        self, request: EnvironmentRequest, kept: Lock | None, interpreter: Interpreter, folder: Path, tell: Tell
    ) -> Lock:
        """The lock with the hash of each package that R lacks: it is taken as the repositories have it now."""
        renv = _asked(request, kept)
        lacking = await self._lacking(renv, interpreter)
        if not self._settings.r_repositories:
            wanted = listed([each.label for each in lacking])
            raise BuildFailed(
                f"{request.origin or FILE} wants {wanted}, which R lacks, and no repository is set.",
                fix="Name one with `r_repositories`, or a library that has them with `r_libraries`.",
            )
        check_sources(lacking)
        files = await self._fetch(lacking, interpreter, folder, tell)
        await self._described(renv, files, interpreter)
        hashes = {name: await asyncio.to_thread(_sha256, path) for name, path in files.items()}
        packages = tuple(
            msgspec.structs.replace(each, sha256=hashes.get(each.name, each.sha256)) for each in renv.packages
        )
        return msgspec.structs.replace(renv, packages=packages).lock

    def pins(self, lock: Lock, interpreter: Interpreter) -> tuple[Pin, ...]:
        return tuple(Pin(each.name, each.version) for each in _installed_ones(lock))

    async def install(self, lock: Lock, interpreter: Interpreter, folder: Path, tell: Tell) -> Path:
        files = await self._fetch(_installed_ones(lock), interpreter, folder, tell)
        described = await self._described(parse_renv(lock.text, FILE), files, interpreter)
        library = folder / "environment" / LIBRARY
        await asyncio.to_thread(library.mkdir, parents=True)
        variables = {
            **self._variables,
            LIBRARIES_VARIABLE: self._libraries(library),
        }
        program = f"{await self._rscripts.home(interpreter.path)}/R"
        options = (f"--library={library}", "--no-docs", "--no-multiarch", "--no-lock")
        install = (program, "CMD", "INSTALL", *options)
        for number, each in enumerate(in_order(described), 1):
            tell(f"installing {each.name} {each.version}, {number} of {len(described)}")
            await self._programs.run(
                f"installing {each.name} {each.version}",
                [*install, str(files[each.name])],
                folder,
                variables,
                _unheard,
                readable=home_of(program),
            )
        return library.parent

    def start_in(self, place: Path | None, interpreter: Interpreter) -> tuple[str, dict[str, str]]:
        """The worker's Python is as it would be: it starts this R."""
        libraries = {} if place is None else {LIBRARIES_VARIABLE: self._libraries(place / LIBRARY)}
        return "", {PROGRAMS_VARIABLE: interpreter.path, **libraries}

    async def finish(self, place: Path) -> None:
        """R has compiled all when it installed it."""

    async def forget(self, packages: Iterable[str], folder: Path) -> None:
        def remove() -> None:
            for name in packages:
                for path in self._sources.glob(f"{name}_*.tar.gz"):
                    path.unlink(missing_ok=True)

        await asyncio.to_thread(remove)

    def _libraries(self, library: Path) -> str:
        return os.pathsep.join((str(library), *self._settings.r_libraries))

    async def _lacking(self, renv: RenvLock, interpreter: Interpreter) -> tuple[RPackage, ...]:
        """Those that are neither there nor known by a hash."""
        unknown = [each for each in renv.packages if not each.sha256]
        installed = await self._installed(interpreter) if unknown else {}
        return tuple(each for each in unknown if not is_there(each, installed))

    async def _installed(self, interpreter: Interpreter) -> dict[str, str]:
        return await self._rscripts.installed(interpreter.path, os.pathsep.join(self._settings.r_libraries))

    async def _described(
        self, renv: RenvLock, files: Mapping[str, Path], interpreter: Interpreter
    ) -> tuple[Description, ...]:
        """Raises BuildFailed for packages that are not what they are called, or cannot or may not be installed."""
        found = []
        for package in (each for each in renv.packages if each.name in files):
            described = await asyncio.to_thread(_description, package, files[package.name])
            if (described.name, described.version) != (package.name, package.version):
                raise _no_package(package)
            found.append(described)
        there = {*await self._installed(interpreter), *(each.name for each in renv.packages)}
        check_descriptions(found, there, r_version=interpreter.version, may_build=self._settings.allow_source_packages)
        return tuple(found)

    async def _fetch(
        self, packages: Sequence[RPackage], interpreter: Interpreter, folder: Path, tell: Tell
    ) -> dict[str, Path]:
        """The file of each, as it was downloaded before or is now. Raises BuildFailed, also for a wrong hash."""
        files = {each.name: self._sources / each.file for each in packages}
        absent = [each for each in packages if not await asyncio.to_thread(_is_same, files[each.name], each.sha256)]
        if not absent:
            return files
        local = tuple(each for each in self._settings.r_repositories if each.startswith("file:"))
        repositories = local if self._settings.offline else self._settings.r_repositories
        rows = ["\t".join((each.file, *addresses(each, repositories))) for each in absent]
        fetched = folder / "fetched"
        await asyncio.to_thread(fetched.mkdir, exist_ok=True)
        await asyncio.to_thread((fetched / "wanted.txt").write_text, "".join(f"{row}\n" for row in rows))
        tell(f"downloading {counted(len(absent), 'package')} of R")
        command = (interpreter.path, "--vanilla", str(FETCH))
        await self._programs.run(
            "downloading its packages", command, fetched, self._variables, _unheard, readable=home_of(interpreter.path)
        )
        for each in absent:
            path = fetched / each.file
            if each.sha256 and not await asyncio.to_thread(_is_same, path, each.sha256):
                raise r_failure("downloading its packages", [f"hash mismatch for {each.file}"])
            await asyncio.to_thread(shutil.move, path, files[each.name])
        return files


def _asked(request: EnvironmentRequest, kept: Lock | None) -> RenvLock:
    return parse_renv(request.lock, request.origin or FILE) if kept is None else parse_renv(kept.text, FILE)


def _installed_ones(lock: Lock) -> tuple[RPackage, ...]:
    return tuple(each for each in parse_renv(lock.text, FILE).packages if each.sha256)


def _is_same(path: Path, sha256: str) -> bool:
    return bool(sha256) and path.is_file() and _sha256(path) == sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _description(package: RPackage, path: Path) -> Description:
    """Raises BuildFailed."""
    try:
        with tarfile.open(path, "r|gz") as archive:
            for member in archive:
                if member.name.removeprefix("./") == f"{package.name}/DESCRIPTION" and member.isfile():
                    file = archive.extractfile(member)
                    assert file is not None
                    return parse_description(file.read(MAX_DESCRIPTION_BYTES).decode(errors="replace"))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _no_package(package) from error
    raise _no_package(package)


def _no_package(package: RPackage) -> BuildFailed:
    return BuildFailed(
        f"{package.file}, as a repository has it, is not the package {package.label}.",
        fix="Mend the repository, or name another one in `r_repositories`.",
    )


def _unheard(_line: str) -> None:
    """What is told is which package it is."""
