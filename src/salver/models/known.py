"""What the server knows of one model: what it should be, and the versions that there are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from salver.models.manifestfile import ManifestFile
from salver.models.sources import FailedSource, ModelSource
from salver.replicas.base import ReplicaSpec
from salver.store.base import ModelRecord, VersionRecord
from salver.types import BatchSettings, ModelVersion, VersionFailure, VersionPolicy

MakeSpec: TypeAlias = Callable[[ModelSource], ReplicaSpec]
"""How a version that was found is run."""


class KnownVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: how to run it, and where it comes from."""

    spec: ReplicaSpec
    stored: VersionRecord | None = None
    """None: it comes from the command line, is served where it lies and is forgotten at the end."""
    manifest_file: ManifestFile | None = None
    failure: VersionFailure | None = None
    """Why it cannot be loaded; it is not tried again until somebody asks."""
    origin: str = ""
    """The argument of the command line that it comes from."""

    @property
    def number(self) -> int:
        return self.spec.id.version

    @property
    def is_broken(self) -> bool:
        """Whether not even its artefact can be read."""
        return not self.spec.path


def given_version(source: ModelSource, make_spec: MakeSpec, origin: str, stamp: str = "") -> KnownVersion:
    """A version that is served where it lies. `stamp` tells its files from those that were there before."""
    spec = msgspec.structs.replace(make_spec(source), stamp=stamp)
    return KnownVersion(spec=spec, manifest_file=source.manifest_file, origin=origin)


def placeholder(id: ModelVersion, source: str) -> KnownVersion:
    """A version of which nothing is known but that it is, or would be, there."""
    spec = ReplicaSpec(
        id=id, runtime="", path="", folder="", python=sys.executable, batching=BatchSettings(), source=source
    )
    return KnownVersion(spec=spec)


def broken_version(failed: FailedSource, id: ModelVersion, origin: str) -> KnownVersion:
    """A version that lies where it should and cannot be read as a model."""
    error = failed.error
    failure = VersionFailure(code=error.code.value, message=error.message, fix=error.fix)
    return msgspec.structs.replace(placeholder(id, failed.source), failure=failure, origin=origin)


class KnownModel:
    """One model, owned by the catalogue. Its record and its versions are replaced, never changed."""

    def __init__(self, name: str, record: ModelRecord | None = None) -> None:
        self.name = name
        self.versions: Mapping[int, KnownVersion] = {}
        self.changing = asyncio.Lock()
        """Held by whoever changes it: changes of one model come one after the other."""
        self.is_gone = False
        """Whether it was deleted, for whoever waits to change it."""
        self.awake: frozenset[int] = frozenset()
        """Versions that somebody asked for, where they are loaded on demand."""
        self.own_policy = VersionPolicy()
        """What its own files say of which versions are loaded: it holds as long as nobody says otherwise."""
        self._record = record

    @property
    def facts(self) -> tuple[object, ...]:
        """All that it consists of. Each is replaced by what changes it, so where these are the same objects, nothing
        has changed."""
        return (self._record, self.versions, self.awake, self.own_policy)

    @property
    def sleeps(self) -> bool:
        """Whether its versions are loaded only when somebody asks for them."""
        scale = self.record.scale
        return scale.is_on_demand and not scale.is_pinned

    @property
    def record(self) -> ModelRecord:
        """As it stands; one that nobody ever changed is of revision 0."""
        if self._record is None:
            return ModelRecord(name=self.name, policy=self.own_policy, revision=0, updated_at=0.0, updated_by="")
        return self._record

    @record.setter
    def record(self, record: ModelRecord) -> None:
        self._record = record

    @property
    def numbers(self) -> tuple[int, ...]:
        """The versions that there are, highest first."""
        return tuple(sorted(self.versions, reverse=True))

    @property
    def is_nothing(self) -> bool:
        """Whether neither a version nor a wish is left of it."""
        return not self.versions and self._record is None

    def is_only_of(self, origin: str) -> bool:
        """Whether it has no versions but those of an origin."""
        return all(version.origin == origin for version in self.versions.values())

    def drop_all_of(self, origin: str) -> None:
        self.versions = {number: version for number, version in self.versions.items() if version.origin != origin}

    def put(self, version: KnownVersion) -> None:
        self.versions = {**self.versions, version.number: version}

    def drop(self, number: int) -> None:
        self.versions = {key: version for key, version in self.versions.items() if key != number}
