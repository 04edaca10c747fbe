"""Looks again and again at the places where versions come from by themselves, and tells the catalogue what it saw.

Watched folders are served where they lie. What a remote lists is published into the repository, once per version. A
place that cannot be asked changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from salver.errors import Code, SalverError
from salver.models.background import in_background
from salver.models.catalogue import Catalogue
from salver.models.intake import Publication
from salver.models.outcome import Asked
from salver.models.remotes.base import Seen, Source, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.types import ModelVersion

PASSING = frozenset({Code.OVERLOADED})
"""What says nothing of the version: it is tried again at the next look."""
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
        self._folders = list(folders)
        self._remotes = remotes
        self._every_s = every_s
        self._scratch = scratch
        self._on_note = on_note
        self._told: dict[str, str] = {}
        """What was said last of each place."""
        self._first: dict[ModelVersion, str] = {}
        self._served: dict[ModelVersion, str] = {}
        """The stamps of the files that were in the place of each version first, and that are served now."""
        self._refused: dict[ModelVersion, str] = {}
        """The stamps of versions that were no good: they are not fetched again before they change."""

    async def run(self) -> None:
        """Until it is cancelled, or once."""
        await self.look()
        while self._every_s:
            await asyncio.sleep(self._every_s)
            await self.look()

    async def replace(self, old: FolderSource | None, new: FolderSource | None) -> None:
        """From now on look at `new` instead of `old`, and at once."""
        if old is not None:
            self._folders.remove(old)
        if new is not None and new not in self._folders:
            self._folders.append(new)
        if new is not None:
            await self._look_at(new.name, self._serve(new))

    async def look(self) -> None:
        for folder in tuple(self._folders):
            await self._look_at(folder.name, self._serve(folder))
        for remote in self._remotes:
            await self._look_at(remote.name, self._take(remote))

    async def _look_at(self, place: str, look: Awaitable[None]) -> None:
        """What goes wrong with one place ends neither the looks at others nor the next one at this."""
        try:
            await look
            self._told.pop(f"look at {place}", None)
        except Exception as error:
            log.exception("look_failed", extra={"source": place})
            self._note(
                f"look at {place}",
                f"{place} could not be looked at: {type(error).__name__}; the server's log has more.",
            )

    async def _serve(self, folder: FolderSource) -> None:
        seen = await self._ask(folder)
        if seen is None:
            return
        stamps = {each.id: stamp for each in seen if (stamp := await self._stamp(each)) is not None}
        if folder not in self._folders:
            return  # it was given up meanwhile
        sources = [source for source in folder.found.models if source.id in stamps]
        covered = self._catalogue.found(folder.name, sources, stamps, folder.found.failures)
        for source in covered:
            self._note(
                str(source.id),
                f"{source.source} is not served: {source.name} has a version {source.version} already, from elsewhere. "
                "Give the folder another number: it would be served in that one's place when the server starts anew.",
            )

    async def _take(self, remote: Source) -> None:
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

    async def _stamp(self, seen: Seen) -> str | None:
        """Of the files that are to be served, empty for the first in their place; None: those are no good.

        Files that are no good do not end those that were in their place before.
        """
        id, is_known = seen.id, self._catalogue.has(seen.id)
        if is_known:
            self._served.setdefault(id, seen.stamp)
        if (not is_known or self._served[id] != seen.stamp) and await self._is_whole(seen):
            self._served[id] = seen.stamp
        elif not is_known:
            return None
        first = self._first.setdefault(id, self._served[id])
        return "" if self._served[id] == first else self._served[id]

    async def _is_whole(self, seen: Seen) -> bool:
        """Whether the version's checksums agree, where it has some. They are looked at once."""
        if self._refused.get(seen.id) == seen.stamp:
            return False
        try:
            await in_background(seen.fetch, self._scratch)
        except SalverError as error:
            self._refuse(seen, error)
            return False
        return True

    async def _publish(self, source: Source, seen: Seen) -> None:
        if self._catalogue.has(seen.id) or self._refused.get(seen.id) == seen.stamp:
            return
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._scratch))
        try:
            artefact = await in_background(seen.fetch, folder)
            publication = Publication(
                artefact=artefact, file_name=artefact.name, version=seen.version, is_copied=True, told=seen.source
            )
            await self._catalogue.publish(Asked(model=seen.model, by=f"remote:{source.name}"), publication)
        except SourceGone as error:
            self._note(source.name, f"{error.message} {error.fix}")
        except SalverError as error:
            if error.code in PASSING:
                self._note(str(seen.id), f"{seen.source} waits: {error.message} {error.fix}")
            else:
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
