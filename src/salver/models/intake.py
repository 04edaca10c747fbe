"""From a publication to the version that it makes: the artefact is taken into the repository, and read as one model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec.structs import replace

from salver.errors import Code, RequestError
from salver.models.admission import check_own_name, next_version
from salver.models.background import in_background
from salver.models.known import KnownModel, KnownVersion, MakeSpec, placeholder
from salver.models.stock import Stock, Stocked
from salver.replicas.environments.base import EnvironmentRequest
from salver.store.base import VersionRecord
from salver.types import ModelVersion, own_name_or_number

IsApproved: TypeAlias = Callable[[EnvironmentRequest], Awaitable[bool]]
"""Whether the packages were wanted before by somebody who may have them installed."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A version to be: its artefact, and what it is to be called."""

    artefact: Path | None
    """An uploaded file, or with `is_copied` a file or folder of this machine; None: for a plan."""
    file_name: str
    version: int | None = None
    """None: one more than the highest."""
    is_promoted: bool = False
    is_copied: bool = False
    told: str = ""
    """Where it comes from, for people; empty: the file's name."""
    is_first: bool = False
    """Whether there may be no such model yet."""
    replicas: int | None = None
    """How many replicas each version gets with it; None: as it was set."""
    is_beside: bool = False
    """Whether it is served beside the versions that there are, under the number that its artefact names; `replicas` are
    its own then."""
    may_install: bool = True
    """Whether it may need packages that nobody approved before."""


class Intake:
    """Waits for the disk in threads."""

    def __init__(self, stock: Stock, make_spec: MakeSpec, clock: Callable[[], float], is_approved: IsApproved) -> None:
        self._is_approved = is_approved
        self._stock = stock
        self._make_spec = make_spec
        self._clock = clock

    async def version(
        self, model: KnownModel, publication: Publication, *, by: str, is_plan: bool, used: Container[str]
    ) -> KnownVersion:
        """The version that the publication makes, or is already. Raises RequestError or LoadError.

        `used` are the digests that versions refer to: what was taken in and makes no version goes again, but for these.
        """
        number = next_version(model.numbers) if publication.version is None else publication.version
        if is_plan:
            return _free(model, placeholder(ModelVersion(model.name, number), publication.file_name))
        stocked = await in_background(self._take, model.name, publication, used)
        for version in model.versions.values():
            is_same = version.stored is not None and version.stored.digest == stocked.published.digest
            if is_same and publication.version in (None, version.number) and not publication.is_beside:
                return version
        try:
            if publication.is_beside:
                check_own_name(model.name, stocked.own_name, _own_names(model))
                number = stocked.number_among(model.numbers)
            version = _free(model, self._published(stocked, number, by, publication.told))
            await self._check_environment(version, publication)
            return version
        except RequestError:
            if stocked.published.digest not in used:
                await in_background(self._stock.forget, stocked.published.digest)
            raise

    async def _check_environment(self, version: KnownVersion, publication: Publication) -> None:
        """Raises RequestError when packages would be installed that whoever publishes may not have installed."""
        wanted = version.spec.environment
        if wanted is None or publication.may_install or await self._is_approved(wanted):
            return
        raise RequestError(
            Code.PERMISSION_DENIED,
            f"This version needs packages that nobody approved yet: {wanted.label}.",
            fix="Use requirements that `salver env list` shows, or have somebody with the permission "
            "environments.build run `salver env build` with the model's folder.",
        )

    def _take(self, name: str, publication: Publication, used: Container[str]) -> Stocked:
        """Blocks for the disk."""
        if publication.artefact is None:
            raise RequestError(Code.INVALID_INPUT, "There is no artefact in this request.", fix="Send it as the body.")
        if publication.is_copied:
            return self._stock.take(publication.artefact, name, used)
        return self._stock.take_upload(publication.artefact, publication.file_name, name, used)

    def _published(self, stocked: Stocked, number: int, by: str, told: str) -> KnownVersion:
        source = replace(stocked.source, version=number, source=told or stocked.source.source)
        record = VersionRecord(
            model=source.name,
            version=number,
            digest=stocked.published.digest,
            size_bytes=stocked.published.size_bytes,
            source=source.source,
            created_at=self._clock(),
            created_by=by,
        )
        return KnownVersion(spec=self._make_spec(source), stored=record, manifest_file=source.manifest_file)


def _own_names(model: KnownModel) -> list[str]:
    """What the artefacts of its versions call them."""
    return [own_name_or_number(version.spec.own_name, version.number) for version in model.versions.values()]


def _free(model: KnownModel, version: KnownVersion) -> KnownVersion:
    if version.number in model.versions:
        raise RequestError(
            Code.CONFLICT,
            f"The model {model.name!r} has a version {version.number} already, and a version never changes.",
            fix="Leave the version out to get the next number, or choose one that is free.",
        )
    return version


async def approve_all(_request: EnvironmentRequest) -> bool:
    """Where nobody installs anything."""
    return True
