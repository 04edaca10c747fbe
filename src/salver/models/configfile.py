"""A configuration that a file tells: read at the start, and looked at again and again for a new one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver.errors import Code, LoadError, SalverError
from salver.models.configurator import Configurator, Proposal
from salver.models.configured import Configuration
from salver.models.folders import discover_versions
from salver.models.servingfiles import read_batching, read_models
from salver.models.sources import Discovery, FailedSource, ModelSource

PER_MODEL_BATCHING = "batching_params.pbtxt"
MAX_BYTES = 8 * 1024 * 1024
LOAD_S = 600.0
log = logging.getLogger("salver.models")


class GivenConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line gives to be served as one list, and how it is kept up."""

    models: Configuration
    file: str = ""
    """The file that tells the models; empty: the command line does."""
    poll_s: float = 0.0
    """How often the file is looked at; 0: at the start only."""
    allow_unavailable: bool = False
    has_own_batching: bool = False
    """Whether the folder of a version may have a file with its batching parameters."""


def read_file(path: str) -> str:
    """The text of one of a command's files. Raises LoadError(SETTINGS_INVALID)."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise LoadError(Code.SETTINGS_INVALID, message, fix="Check the path, and who may read the file.") from error
    if len(raw) > MAX_BYTES:
        raise LoadError(Code.SETTINGS_INVALID, f"{path} is longer than {MAX_BYTES} bytes.", fix="Check the path.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise LoadError(Code.SETTINGS_INVALID, f"{path} is no text in UTF-8.", fix="Write it in UTF-8.") from error


class ConfigurationFile:
    """Applies the file each time it says something else. What cannot be applied is told once, and changes nothing."""

    def __init__(self, given: GivenConfiguration, configurator: Configurator, on_note: Callable[[str], None]) -> None:
        self._given = given
        self._configurator = configurator
        self._on_note = on_note
        self._applied = given.models
        self._told = ""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(self._given.poll_s)
            await self.look()

    async def look(self) -> None:
        path = self._given.file
        try:
            models = read_models(await asyncio.to_thread(read_file, path), path)
            if models == self._applied:
                self._told = ""
                return
            made = await self._configurator.configure(
                Proposal(
                    models=models,
                    by="model_config_file",
                    allow_unavailable=self._given.allow_unavailable,
                    wait_s=LOAD_S,
                    is_given=True,
                )
            )
        except SalverError as error:
            self._note(f"{path} is not applied: {error.message} {error.fix}")
            return
        except Exception as error:
            log.exception("configuration_failed", extra={"source": path})
            self._note(f"{path} is not applied: {type(error).__name__}; the server's log has more.")
            return
        self._applied = models
        self._note(f"{path} is applied: {_changes(made.added, made.removed)}")
        for note in made.notes:
            self._on_note(note)

    def _note(self, text: str) -> None:
        if text != self._told:
            self._told = text
            log.info("configuration_file", extra={"reason": text})
            self._on_note(text)


def _changes(added: tuple[str, ...], removed: tuple[str, ...]) -> str:
    parts = [f"{word} {', '.join(names)}" for word, names in (("added", added), ("removed", removed)) if names]
    return "; ".join(parts) or "no model came or went"


def discover_with_batching(folder: Path, name: str, artifacts: Path) -> Discovery:
    """As `discover_versions`, each version with the batching parameters that lie in its folder."""
    found = discover_versions(folder, name, artifacts)
    models: list[ModelSource] = []
    failures = list(found.failures)
    notes = list(found.notes)
    for model in found.models:
        path = Path(model.source) / PER_MODEL_BATCHING
        try:
            batching = read_batching(read_file(str(path)), str(path)) if path.is_file() else None
        except LoadError as error:
            failures.append(FailedSource(source=model.source, error=error, id=model.id))
            continue
        if batching is not None:
            manifest = replace(model.manifest, batching=batching.section)
            model = replace(model, manifest=manifest, notes=(*model.notes, *batching.notes))
        models.append(model)
    return Discovery(models=tuple(models), failures=tuple(failures), notes=tuple(notes))
