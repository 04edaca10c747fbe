"""From an artefact in the repository to a version that can be served. Reads the disk: not for an event loop."""

from __future__ import annotations

from collections.abc import Collection, Container
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver.errors import Code, LoadError
from salver.models.admission import next_version
from salver.models.folders import discover_folder
from salver.models.known import KnownVersion, MakeSpec, placeholder
from salver.models.repository import Published, Repository
from salver.models.sources import ModelSource
from salver.store.base import VersionRecord
from salver.types import ModelVersion, VersionFailure, own_number


class Stocked(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact that was taken in, and the model that it is."""

    published: Published
    source: ModelSource

    @property
    def own_name(self) -> str:
        """What the artefact calls its version; `1.0` where it says nothing."""
        return self.source.details.get("archive_version", "1.0")

    def number_among(self, known: Collection[int]) -> int:
        """The number that the artefact's own name stands for; the next one where that is none, or is taken."""
        number = own_number(self.own_name)
        return next_version(known) if number is None or number in known else number


class Stock:
    """The repository, read as models."""

    def __init__(self, repository: Repository, artifacts: Path) -> None:
        """Model archives are unpacked below `artifacts`."""
        self._repository = repository
        self._artifacts = artifacts

    def take_upload(self, path: Path, file_name: str, name: str, used: Container[str]) -> Stocked:
        """Keep an uploaded file, or the folder that was packed in it. Raises LoadError when it is not one model.

        `used` are digests that stay in the repository whatever comes of this.
        """
        return self._stocked(self._repository.unpack_upload(path, file_name), name, file_name, used)

    def take(self, path: Path, name: str, used: Container[str]) -> Stocked:
        """`take_upload` for a file or folder of this machine, which is copied."""
        if path.is_file():
            return self.take_upload(path, path.name, name, used)
        return self._stocked(self._repository.publish(path), name, path.name, used)

    def forget(self, digest: str) -> None:
        self._repository.remove(digest)

    def sweep(self) -> None:
        """Remove what was left unfinished. Artefacts stay, even those that no version refers to: the state may be the
        wrong one, or an old one, and what is removed cannot be had back."""
        self._repository.sweep(self._repository.digests())

    def source(self, record: VersionRecord) -> ModelSource:
        """The version as it is to be served. Raises LoadError when its artefact is damaged, or gone."""
        return self._read(self._repository.open(record.digest), record.model, record.version, record.source)

    def _stocked(self, published: Published, name: str, told: str, used: Container[str]) -> Stocked:
        try:
            return Stocked(published=published, source=self._read(published.path, name, 1, told))
        except LoadError as error:
            if published.digest not in used:
                self._repository.remove(published.digest)
            place = str(published.path)  # which is gone, and nobody else's business
            message = error.message.replace(f"{place}/{told}", told).replace(place, told)
            raise LoadError(error.code, message, fix=error.fix.replace(place, told)) from error

    def _read(self, path: Path, name: str, version: int, told: str) -> ModelSource:
        """Raises LoadError."""
        found = discover_folder(path, name, self._artifacts).models
        names = {model.name for model in found}
        if names != {name} or len(found) != 1:
            raise LoadError(
                Code.FORMAT_UNKNOWN,
                f"{told} holds {len(found)} models, and a version is one.",
                fix="Publish them one by one.",
            )
        return replace(found[0], version=version, source=told)


def stored_version(stock: Stock, record: VersionRecord, make_spec: MakeSpec) -> KnownVersion:
    """A stored version as it can be run; one whose artefact cannot be read has failed."""
    try:
        source = stock.source(record)
    except LoadError as error:
        broken = placeholder(ModelVersion(record.model, record.version), record.source)
        failure = VersionFailure(code=error.code.value, message=error.message, fix=error.fix)
        return replace(broken, stored=record, failure=failure)
    return KnownVersion(
        spec=make_spec(source), stored=record, manifest_file=source.manifest_file, failure=record.failure
    )
