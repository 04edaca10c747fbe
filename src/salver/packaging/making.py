"""From what somebody has to a package: found, laid out, locked, run, written.

::

    path ──► model, as `salver serve` finds it ──► its files in a folder ──► what it needs ──► lock
                                                                                                │
    package ◄── address of all files ◄── example with its answer ◄── run in that environment ◄──┘
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver import __version__
from salver.app.models import spec_of
from salver.errors import Code, LoadError
from salver.importers.tomltext import manifest_text
from salver.models.archiverules import ArchiveRefused
from salver.models.discovery import discover, place_of
from salver.models.folders import discover_folder
from salver.models.manifest import FILE_NAME, EnvironmentSection, ExampleSection, Manifest
from salver.models.naming import NAME_RULE, is_name
from salver.models.packagefile import RECORD_NAME, package_name, write_package
from salver.models.sources import ModelSource
from salver.packaging import examples
from salver.packaging.base import Packaged, PackagingFailed, Plan, Proof, Record, Wanted
from salver.packaging.environment import Needs, needs_of
from salver.packaging.examples import place_files, read_example
from salver.packaging.proving import Prover, Say, with_example
from salver.packaging.staging import Staged, free_name, stage
from salver.replicas.base import ReplicaSpec
from salver.replicas.environments.locks import read_lock
from salver.replicas.environments.requirements import constraints_for
from salver.settings import Settings
from salver_worker.runtimes.specs import FUNCTION

LOCK_NAME = "requirements.lock"
NOTE = "Written by `salver package`."


class Bench:
    """One package in the making, in a folder of its own."""

    def __init__(self, wanted: Wanted, work: Path) -> None:
        """Find the model and lay its files out. Raises PackagingFailed, LoadError, StartupError, OSError."""
        self.wanted = wanted
        self._artifacts = work / "artifacts"
        self.folder = work / "package"
        self.folder.mkdir()
        self.source = self._found()
        self.staged: Staged = stage(self.source, place_of(wanted.path), wanted.code, self.folder)
        self.needs: Needs = needs_of(wanted, self.source, self.staged)
        self.name = wanted.name or self.source.name
        self.locked = 0
        """How many packages its lock has."""
        self.notes: list[str] = [*self.source.notes, *self.needs.notes]

    def _found(self) -> ModelSource:
        wanted = self.wanted
        if wanted.name is not None and not is_name(wanted.name):
            raise PackagingFailed(
                f"{wanted.name!r} is no name for a model: it must be {NAME_RULE}.", fix="Choose another."
            )
        models = discover([wanted.path], self._artifacts).models
        if not place_of(wanted.path).exists():
            raise PackagingFailed(f"{wanted.path} is built in.", fix="Give a file or a folder.")
        if len(models) != 1:
            names = ", ".join(model.name for model in models)
            raise PackagingFailed(f"{wanted.path} holds several models: {names}.", fix="Package them one by one.")
        _check_declared(models[0])
        return models[0]

    def plan(self) -> Plan:
        return Plan(
            name=self.name,
            runtime=self.source.recognition.runtime,
            label=self.source.recognition.label,
            files=tuple(
                sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())
            ),
            python=self.needs.request.python,
            requirements=self.needs.request.requirements,
            is_locked=self.wanted.is_locked or bool(self.needs.request.lock),
            notes=tuple(self.notes),
        )

    def manifest(self, environment: EnvironmentSection, example: str | None) -> Manifest:
        """What the package's model.toml says."""
        own, recognition = self.source.manifest, self.source.recognition
        changed = replace(
            own,
            name=self.name,
            runtime=recognition.runtime if self.staged.is_alone else own.runtime,
            artifact=self.staged.artifact or own.artifact,
            description=own.description if self.wanted.description is None else self.wanted.description,
            environment=environment,
            example=None if example is None else ExampleSection(file=example),
        )
        is_here = (self.folder / recognition.artifact.name).is_file()
        if recognition.runtime == FUNCTION.name and recognition.function is not None and is_here:
            handler = f"{recognition.artifact.name}:{recognition.function}"
            changed = replace(changed, artifact=None, handler=handler)
        return changed

    def write_manifest(self, environment: EnvironmentSection, example: str | None) -> ModelSource:
        """The package's model.toml, and the model as a server will find it then. Raises LoadError."""
        text = manifest_text(self.manifest(environment, example), NOTE)
        (self.folder / FILE_NAME).write_text(text, encoding="utf-8")
        return discover_folder(self.folder, self.name, self._artifacts).models[0]

    def earlier_requirements(self) -> tuple[str, ...]:
        """What the lock was resolved from, of a package that is packed again."""
        path = self.source.folder / RECORD_NAME
        if "package" not in self.source.details or not path.is_file():
            return ()
        return msgspec.json.decode(path.read_bytes(), type=Record).requirements

    def place(self, name: str) -> str:
        """What a file of ours is called; one of a package that is packed again gives way."""
        return name if "package" in self.source.details else free_name(self.folder, name)


def _check_declared(source: ModelSource) -> None:
    """Another server's file does not go along; what of it a model.toml has no word for would be lost."""
    checks = {} if source.declared is None else source.declared.checks
    if checks.get("rename") or checks.get("has_rows") is False:
        assert source.foreign is not None
        raise PackagingFailed(
            f"{source.foreign.path} gives the model's tensors names or dimensions of its own, which would be lost.",
            fix="Write a model.toml with [[outputs]] beside it, or serve the folder as it is.",
        )


def plan_package(wanted: Wanted) -> Plan:
    """What would be packed. Nothing is resolved, built or run. Raises SalverError."""
    with tempfile.TemporaryDirectory(prefix="salver-package-") as work:
        return Bench(wanted, Path(work)).plan()


def make_package(wanted: Wanted, settings: Settings, environments: Path, target: Path | None, say: Say) -> Packaged:
    """Write the package at `target`, a file or a folder; None: into the current folder, named by its content.

    `environments` is the folder in which they are built. Raises SalverError.
    """
    with tempfile.TemporaryDirectory(prefix="salver-package-") as work:
        try:
            bench = Bench(wanted, Path(work))
            record, has_answer = asyncio.run(_prove(bench, settings, environments, say))
            return _written(bench, record, target, has_answer)
        except ArchiveRefused as refused:
            fix = "A package holds ordinary files below one folder."
            raise PackagingFailed(f"{wanted.path} {refused}.", fix=fix) from refused
        except OSError as error:
            fix = "Let the files be read, and make room."
            raise PackagingFailed(f"{error.filename}: {error.strerror}.", fix=fix) from error


async def _prove(bench: Bench, settings: Settings, environments: Path, say: Say) -> tuple[Record, bool]:
    """Lock and run; whether the example has an answer. What was found out lies in the bench's folder then."""
    wanted = bench.wanted
    prover = Prover(settings.environments, environments, settings.replicas.load_timeout_s, say)
    try:
        request = bench.needs.request
        section = await _environment(bench, prover)
        source = bench.write_manifest(section, None)
        proof: Proof | None = None
        example = _given(bench, None)
        if wanted.is_checked:
            lock = section.lock and (bench.folder / section.lock).read_text()
            ran_in = replace(request, python=section.python or request.python, lock=lock or "")
            spec = replace(spec_of(source, settings), python=await prover.python(ran_in), environment=None)
            proof, example = await _run(bench, prover, spec)
        if example is None:
            bench.notes.append("it has no example, so nobody sees when it answers otherwise; --example gives it one")
        else:
            name = bench.place(examples.FILE_NAME)
            (bench.folder / name).write_bytes(_example_text(example))
            bench.write_manifest(section, name)
    finally:
        await prover.stop()
    return _record(bench, proof), example is not None and bool(example.expect)


async def _environment(bench: Bench, prover: Prover) -> EnvironmentSection:
    """What model.toml says of it, the lock being written."""
    own, request = bench.source.manifest.environment, bench.needs.request
    if not bench.wanted.is_locked and not request.lock:
        return _unlocked(bench, own)
    python = await prover.series(request.python)
    text = request.lock or await prover.lock(replace(request, python=python))
    name = own.lock or bench.place(LOCK_NAME)
    lock = read_lock(text, name)
    (bench.folder / name).write_text(lock.text)
    bench.locked = len(lock.pins)
    return replace(own, python=python, requirements=None, lock=name)


def _unlocked(bench: Bench, own: EnvironmentSection) -> EnvironmentSection:
    """The requirements as they are: the server that gets the package locks them, once."""
    request = bench.needs.request
    python = request.python or None
    bench.notes.append("it is not locked: the first server that gets it resolves what it needs, and keeps that")
    if set(request.constraints) <= set(constraints_for(request.requirements)):
        return replace(own, python=python, requirements=request.requirements, lock=None)
    name, bounds = bench.place("requirements.txt"), bench.place("constraints.txt")
    (bench.folder / bounds).write_text("".join(f"{line}\n" for line in request.constraints))
    (bench.folder / name).write_text("".join(f"{line}\n" for line in (*request.requirements, f"-c {bounds}")))
    return replace(own, python=python, requirements=name, lock=None)


async def _run(bench: Bench, prover: Prover, spec: ReplicaSpec) -> tuple[Proof, ExampleSection | None]:
    """Run the model, and its example twice where nobody said what it is to give."""
    example = _given(bench, ())
    proof: Proof | None = None
    if example is None:
        proof = await prover.load(with_example(spec, None))
        example = _given(bench, tuple(each.name for each in proof.signature.inputs))
        if example is None:
            return proof, None
    proof = await prover.load(with_example(spec, example.for_worker()))
    if example.expect is not None:
        return proof, example
    if not proof.answer:
        bench.notes.append("the example's answer is not recorded: it has nothing that can be compared")
        return proof, example
    proved = replace(example, expect=proof.answer)
    try:
        await prover.load(with_example(spec, proved.for_worker()))
    except LoadError as error:
        if error.code is not Code.EXAMPLE_MISMATCH:
            raise
        bench.notes.append(f"the example's answer is not recorded, because it is another each time: {error.message}")
        return proof, example
    return proof, proved


def _given(bench: Bench, inputs: tuple[str, ...] | None) -> ExampleSection | None:
    """The example that was given, or that the model brings; `inputs` are the model's, () while they are not known.

    None when there is none, or when its input has no name yet. With None for `inputs`, a nameless one is refused.
    """
    if bench.wanted.example is None:
        own = bench.source.manifest.example
        return None if own is None else place_files(own, bench.source.folder, bench.folder)
    given = read_example(bench.wanted.example)
    if given.section is None and inputs == ():
        return None
    if given.section is None and inputs is None:
        if bench.wanted.is_checked:
            return None
        inputs = ()
    return place_files(given.named(inputs or ()), given.folder, bench.folder)


def _example_text(example: ExampleSection) -> bytes:
    document = {key: value for key, value in example.for_worker().items() if value is not None}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _record(bench: Bench, proof: Proof | None) -> Record:
    return Record(
        name=bench.name,
        runtime=bench.source.recognition.runtime,
        signature=None if proof is None else proof.signature,
        payload=None if proof is None else proof.payload,
        requirements=bench.needs.request.requirements or bench.earlier_requirements(),
        created_with={"salver": __version__},
        proved_with=None if proof is None else {"runtime": proof.runtime_version, "python": proof.python},
    )


def _written(bench: Bench, record: Record, target: Path | None, has_answer: bool) -> Packaged:
    text = msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
    (bench.folder / RECORD_NAME).write_bytes(text)
    place = Path() if target is None else target
    unnamed = (place if place.is_dir() else place.parent) / f".{bench.name}.unnamed"
    try:
        listing = write_package(bench.folder, unnamed)
        final = place / package_name(bench.name, listing.digest) if place.is_dir() else place
        unnamed.replace(final)
    finally:
        unnamed.unlink(missing_ok=True)
    return Packaged(
        path=str(final),
        digest=listing.digest,
        size_bytes=final.stat().st_size,
        files=tuple(file.name for file in listing.files),
        packages=bench.locked,
        has_answer=has_answer,
        record=record,
        notes=tuple(bench.notes),
    )
