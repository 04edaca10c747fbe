"""What a model wants to run in: as its model.toml says, else the files beside it, else what the artefact tells."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from msgspec.structs import replace
from packaging.requirements import Requirement

from salver.errors import Code, LoadError
from salver.models.manifest import EnvironmentSection, Manifest
from salver.models.marfile import MANIFEST_NAME
from salver.models.ownpackages import Fit, fit_of
from salver.models.recognising.base import Recognition
from salver.models.recorded import recorded_requirement
from salver.models.recordedmodels import recorded_packages
from salver.replicas.environments.base import EnvironmentRequest
from salver.replicas.environments.conda import parse_conda, text_lines
from salver.replicas.environments.locks import WORKER_NEEDS
from salver.replicas.environments.pythons import is_found_by_version
from salver.replicas.environments.renv import FILE as RENV
from salver.replicas.environments.renv import renv_request
from salver.replicas.environments.requirements import (
    MAX_BYTES,
    Wishes,
    constraints_for,
    parse_lines,
    parse_requirements,
    with_base,
)
from salver_worker.runtimes.specs import MAR, MXNET, SPECS, R, spec_named

PYTHON_COMMAND = "python"
PYTHON_ENV = "python_env.yaml"
REQUIREMENTS = "requirements.txt"
PYPROJECT = "pyproject.toml"
CONDA = ("conda.yaml", "conda.yml", "environment.yml", "environment.yaml")
KNOWN = (PYTHON_ENV, REQUIREMENTS, PYPROJECT, *CONDA)
"""In the order in which they count; the first that is there says it all."""
IMAGE_STEPS = frozenset({"decode_image"})
PILLOW = "pillow>=9.1"


class EnvironmentWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a model wants to run in, and how far the server's own packages are that."""

    request: EnvironmentRequest
    fit: Fit


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of a model's environment."""

    wish: EnvironmentWish | None = None
    """None: the interpreter as it is."""
    notes: tuple[str, ...] = ()


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What one file asks for."""

    python: str = ""
    wishes: Wishes = Wishes()
    origin: str = ""
    lock: str = ""


def surroundings_of(
    folders: Sequence[Path], recognition: Recognition, manifest: Manifest, *, is_alone: bool
) -> Surroundings:
    """Look in `folders`, the artefact's own first. Of a file that is given by itself, what lies beside it may be about
    something else: it is used when it can be. Raises LoadError for what was meant and cannot be met.
    """
    section = manifest.environment
    base = _base(recognition, manifest)
    if manifest.command and manifest.command[0] != PYTHON_COMMAND:
        return Surroundings()  # a program of its own, which no Python is about
    if recognition.runtime == R.name and not section.r_libraries:
        found = _of_r(folders, section, is_alone=is_alone)
        if found is not None:
            return found
    if section.requirements is None and section.lock is None and not is_found_by_version(section.python or ""):
        return Surroundings()  # a path or a command: the environment is there already
    try:
        asked, notes = _asked(folders, section, is_alone=is_alone)
    except LoadError as error:
        if not is_alone:
            raise
        return _told(Surroundings(notes=(f"{error.message} It is not used.",)), recognition, section, base)
    if asked is None:
        return _told(Surroundings(notes=notes), recognition, section, base)
    request = _request(asked, section, base)
    own = Fit.DIFFERENT if request.lock else fit_of(request)
    return Surroundings(wish=EnvironmentWish(request=request, fit=own), notes=(*notes, *asked.wishes.notes))


def _of_r(folders: Sequence[Path], section: EnvironmentSection, *, is_alone: bool) -> Surroundings | None:
    """What renv.lock asks for, which is all then: the Python beside R is the server's own. None where there is none."""
    folder = next((each for each in folders if (each / RENV).is_file()), None)
    if folder is None:
        return None
    try:
        request = renv_request(_reader(folder)(RENV), RENV)
    except LoadError as error:
        if not is_alone:
            raise
        return Surroundings(notes=(f"{error.message} It is not used.",))
    others = [key for key in ("requirements", "lock") if getattr(section, key) is not None]
    others += [] if is_alone else [name for name in KNOWN if (folder / name).is_file()]
    return Surroundings(
        wish=EnvironmentWish(request=request, fit=Fit.DIFFERENT),
        notes=tuple(f"{name} is not used: {RENV} counts" for name in others),
    )


def _request(asked: _Asked, section: EnvironmentSection, base: Sequence[str]) -> EnvironmentRequest:
    python = section.python or asked.python
    if asked.lock or asked.wishes.is_lock:
        lock = asked.lock or "".join(
            f"{each} {' '.join(f'--hash={value}' for value in asked.wishes.hashes[each])}\n"
            for each in asked.wishes.requirements
        )
        return EnvironmentRequest(python=python, lock=lock, origin=asked.origin)
    requirements = with_base(asked.wishes.requirements, base)
    return EnvironmentRequest(
        python=python or _pythons_for(requirements),
        requirements=requirements,
        constraints=tuple(sorted({*asked.wishes.constraints, *constraints_for(requirements)})),
        origin=asked.origin,
    )


def _base(recognition: Recognition, manifest: Manifest) -> tuple[str, ...]:
    """What the worker and the runtime import, whatever else is asked for."""
    spec = spec_named(recognition.runtime)
    steps = [step for section in manifest.inputs for step in section.convert]
    names = {step if isinstance(step, str) else next(iter(step), "") for step in steps}
    pillow = (PILLOW,) if names & IMAGE_STEPS else ()
    return (WORKER_NEEDS, *(() if spec is None else spec.requirements), *pillow)


def _pythons_for(requirements: Sequence[str]) -> str:
    """The range of interpreters that a runtime's library among them exists for, where its packages do not say it."""
    names = {Requirement(each).name for each in requirements}
    return next((spec.python for spec in SPECS if spec.python and spec.library in names), "")


# What the artefact tells


def _told(
    found: Surroundings, recognition: Recognition, section: EnvironmentSection, base: tuple[str, ...]
) -> Surroundings:
    """Nobody said which packages: the runtime's, of the series that saved the artefact where that is known."""
    spec = MXNET if _is_mxnet_archive(recognition) else spec_named(recognition.runtime)
    library = "" if spec is None else spec.library
    if not library and not section.python:
        return found
    wanted = recorded_requirement(recognition.runtime, recognition.artifact)
    others = recorded_packages(recognition.runtime, recognition.artifact)
    recorded = [*([wanted] if wanted else []), *others]
    requirements = with_base(recorded, (*base, library) if library else base)
    request = EnvironmentRequest(
        python=section.python or _pythons_for(requirements),
        requirements=requirements,
        constraints=constraints_for(requirements),
        origin="model.toml" if section.python else "the artefact",
        is_inferred=not section.python,
    )
    own = fit_of(request)
    notes = found.notes
    if request.is_inferred and own is Fit.MISSING:
        notes = (*notes, f"the server lacks what {wanted or library} needs; {_SAY}")
    elif request.is_inferred and own is Fit.DIFFERENT:
        notes = (*notes, f"it was saved with {wanted}, and the server has another series; {_SAY}")
    return replace(found, wish=EnvironmentWish(request=request, fit=own), notes=notes)


def _is_mxnet_archive(recognition: Recognition) -> bool:
    """Whether a model archive holds a symbol of MXNet: its handler cannot do without the library."""
    if recognition.runtime != MAR.name or not recognition.artifact.is_dir():
        return False
    return any(path.name.endswith(MXNET.extensions) for path in recognition.artifact.iterdir())


_SAY = "a requirements.txt beside it says in what it is to run"


# Files


def _asked(
    folders: Sequence[Path], section: EnvironmentSection, *, is_alone: bool
) -> tuple[_Asked | None, tuple[str, ...]]:
    home = folders[-1]
    if section.lock is not None:
        return _Asked(lock=_reader(home)(section.lock), origin=section.lock), ()
    if isinstance(section.requirements, str):
        return _requirements(home, section.requirements), ()
    if section.requirements is not None:
        return _Asked(wishes=parse_lines(section.requirements, "model.toml"), origin="model.toml"), ()
    for folder in folders:
        archived = _archived(folder)
        if archived is not None:
            return _requirements(folder, archived), ()
        there = [name for name in KNOWN if (folder / name).is_file() and not (is_alone and name == PYPROJECT)]
        for position, name in enumerate(there):
            asked = READERS[name](folder, name)
            if asked is not None:
                return asked, tuple(f"{other} is not used: {name} counts" for other in there[position + 1 :])
    return None, ()


def _archived(folder: Path) -> str | None:
    """The file of requirements that a model archive names. What else its manifest says is read elsewhere."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        return msgspec.json.decode(_bytes(path), type=_Archive).model.requirements_file
    except msgspec.DecodeError:
        return None


class _ArchiveModel(msgspec.Struct, frozen=True, rename="camel"):
    requirements_file: str | None = None


class _Archive(msgspec.Struct, frozen=True):
    model: _ArchiveModel = _ArchiveModel()


def _requirements(folder: Path, name: str) -> _Asked:
    read = _reader(folder)
    return _Asked(wishes=parse_requirements(read(name), name, read), origin=name)


def _pyproject(folder: Path, name: str) -> _Asked | None:
    try:
        project = tomllib.loads(_reader(folder)(name)).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise _refused(f"{name} is not valid TOML: {error}") from error
    lines = project.get("dependencies") if isinstance(project, dict) else None
    if not isinstance(lines, list):
        return None  # of a project that is no model, or says it elsewhere
    wishes = parse_lines(map(str, lines), name)
    return _Asked(python=_range(str(project.get("requires-python", ""))), wishes=wishes, origin=name)


def _conda(folder: Path, name: str) -> _Asked:
    read = _reader(folder)
    found = parse_conda(_yaml(read(name), name), name)
    wishes = parse_requirements("\n".join((*found.requirements, *found.pip)), name, read)
    return _Asked(python=_range(found.python), wishes=wishes, origin=name)


def _python_env(folder: Path, name: str) -> _Asked:
    """MLflow's: the tools that built the package's environment do not count."""
    read = _reader(folder)
    document = _yaml(read(name), name)
    lines = document.get("dependencies", []) if isinstance(document, dict) else None
    if not isinstance(lines, list):
        raise _refused(f"{name} has no list of dependencies")
    wishes = parse_requirements("\n".join(text_lines(lines, name)), name, read)
    python = document.get("python")
    series = _series(python) if isinstance(python, str) else ""  # 3.10 without quotes is the number 3.1
    return _Asked(python=_range(series), wishes=wishes, origin=name)


READERS: dict[str, Callable[[Path, str], _Asked | None]] = {
    PYTHON_ENV: _python_env,
    REQUIREMENTS: _requirements,
    PYPROJECT: _pyproject,
    **dict.fromkeys(CONDA, _conda),
}


def request_of_file(path: Path) -> EnvironmentRequest | None:
    """What a file of requirements asks for, without a model; None when it is no such file. Raises LoadError."""
    reader = READERS.get(path.name) or (_requirements if path.suffix in (".txt", ".lock", ".in") else None)
    if path.name == RENV:
        return renv_request(_reader(path.absolute().parent)(RENV), RENV)
    asked = None if reader is None else reader(path.absolute().parent, path.name)
    return None if asked is None else _request(asked, EnvironmentSection(), (WORKER_NEEDS,))


def _series(version: str) -> str:
    """`3.10.12` as `3.10`: the third number says with what it was made, not what it needs."""
    return ".".join(version.split(".")[:2]) if version else ""


def _range(specifier: str) -> str:
    """What is no Python 3 version or range counts as nothing said."""
    return specifier.strip() if is_found_by_version(specifier.strip()) else ""


def _yaml(text: str, name: str) -> Any:
    try:
        return msgspec.yaml.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _refused(f"{name} is not valid YAML: {str(error).splitlines()[0]}") from error


def _reader(folder: Path) -> Callable[[str], str]:
    """Reads files of the folder by the names that other files call them."""

    def read(name: str) -> str:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise _refused(f"{name} is not a file of the model's folder")
        try:
            return _bytes(folder / name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _refused(f"{name} is not UTF-8 text") from error

    return read


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(f"{path.name} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise _refused(f"{path.name} is larger than {MAX_BYTES} bytes")
    return raw


def _refused(message: str) -> LoadError:
    fix = "Correct the file, or say under [environment] in model.toml what the model needs."
    return LoadError(Code.ENVIRONMENT_BROKEN, f"{message}.", fix=fix)
