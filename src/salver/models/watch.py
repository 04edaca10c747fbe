"""Looks again and again at the places where versions come from by themselves, and tells the catalogue what it saw.

Watched folders are served where they lie. What a remote lists is published into the repository, once per version. A
place that cannot be asked changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from salver.errors import SalverError
from salver.models.catalogue import Asked, Catalogue
from salver.models.intake import Publication
from salver.models.remotes.base import Seen, Source, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.types import ModelVersion

log = logging.getLogger("salver.models")


class Watch:
    """Owned by one loop. `on_note` is told, in words, what does not work: once, until that changes."""

    def __init__(
        self,
        catalogue: Catalogue,
        folders: Sequence[FolderSource],
        remotes: Sequence[Source],
        *,
        every_s: float,
        scratch: Path,
        on_note: Callable[[str], None],
    ) -> None:
        """`scratch` is where versions of remotes are fetched to; with `every_s` 0 there is one look."""
        self._catalogue = catalogue
        self._folders = folders
        self._remotes = remotes
        self._every_s = every_s
        self._scratch = scratch
        self._on_note = on_note
        self._told: dict[str, str] = {}
        """What was said last of each place."""
        self._stamps: dict[ModelVersion, str] = {}
        """Of the versions of folders, in the form that is served."""
        self._refused: dict[ModelVersion, str] = {}
        """The stamps of versions that were no good: they are not fetched again before they change."""

    async def run(self) -> None:
        """Until it is cancelled, or once."""
        await self.look()
        while self._every_s:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def look(self) -> None:
        for folder in self._folders:
            seen = await self._ask(folder)
            if seen is not None:
                before = dict(self._stamps)
                good = {each.id for each in seen if await self._is_good(each)}
                changed = {id: stamp for id, stamp in self._stamps.items() if before.get(id, stamp) != stamp}
                there = [source for source in folder.found.models if source.id in good]
                self._catalogue.found(folder.name, there, changed)
        for remote in self._remotes:
            for each in await self._ask(remote) or ():
                await self._publish(remote, each)

    async def _ask(self, source: Source) -> tuple[Seen, ...] | None:
        try:
            seen = await source.look()
        except SourceGone as error:
            self._note(source.name, f"{error.message} {error.fix}")
            return None
        self._told.pop(source.name, None)
        return seen

    async def _is_good(self, seen: Seen) -> bool:
        """Whether the version's checksums agree, where it has some, or it is there in an older form. They are looked at
        once, and again when it has changed.
        """
        is_there = self._catalogue.has(seen.id)
        if self._refused.get(seen.id) == seen.stamp:
            return is_there
        if not is_there or self._stamps.get(seen.id, seen.stamp) != seen.stamp:
            try:
                await asyncio.to_thread(seen.fetch, self._scratch)
            except SalverError as error:
                self._refuse(seen, error)
                return is_there
        self._stamps[seen.id] = seen.stamp
        return True

    async def _publish(self, source: Source, seen: Seen) -> None:
        if self._catalogue.has(seen.id) or self._refused.get(seen.id) == seen.stamp:
            return
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._scratch))
        try:
            artefact = await asyncio.to_thread(seen.fetch, folder)
            publication = Publication(
                artefact=artefact, file_name=artefact.name, version=seen.version, is_copied=True, told=seen.source
            )
            await self._catalogue.publish(Asked(model=seen.model, by=f"remote:{source.name}"), publication)
        except SourceGone as error:
            self._note(source.name, f"{error.message} {error.fix}")
        except SalverError as error:
            self._refuse(seen, error)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder)

    def _refuse(self, seen: Seen, error: SalverError) -> None:
        self._refused[seen.id] = seen.stamp
        self._note(str(seen.id), f"{seen.source} is not served: {error.message} {error.fix}")

    def _note(self, place: str, text: str) -> None:
        if self._told.get(place) != text:
            self._told[place] = text
            log.warning("source_not_served", extra={"source": place, "reason": text})
            self._on_note(text)
