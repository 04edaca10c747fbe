"""What `salver serve` prints: the server's events, told to a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from salver import __version__
from salver.cli.curl import curl_commands
from salver.cli.signatures import signature_text
from salver.events import (
    Address,
    EnvironmentBuilding,
    FirstRunKey,
    Listening,
    ModelFailed,
    ModelFound,
    ModelReady,
    Noted,
    ServerEvent,
    Stopped,
    Stopping,
)
from salver.types import ModelVersion

if TYPE_CHECKING:
    from rich.console import Console

LOG_LINES = 10


class Narrator:
    """Prints each event as it comes. A version's commands come once, as soon as the addresses are known."""

    def __init__(self, console: Console, *, needs_key: bool = False) -> None:
        self._console = console
        self._needs_key = needs_key
        self._addresses: tuple[Address, ...] = ()
        self._waiting: dict[ModelVersion, ModelReady] = {}
        self._told: set[ModelVersion] = set()

    def __call__(self, event: ServerEvent) -> None:
        match event:
            case ModelFound():
                self._say(
                    "found",
                    f"{event.name} version {event.version}: {event.label or event.runtime}, from {event.source}",
                )
                self._note(f"runtime {event.runtime}, environment {event.environment}")
                for note in event.notes:
                    self._note(f"note: {note}")
            case Noted():
                self._say("note", event.text)
            case EnvironmentBuilding():
                self._say(
                    "building", f"{event.status.id.model} version {event.status.id.version}: {event.status.reason}"
                )
            case ModelReady():
                self._ready(event)
            case ModelFailed():
                self._failed(event)
            case FirstRunKey():
                self._say("key", f"{event.key}", "yellow")
                self._note("the admin key of this data directory, shown this once; `salver keys create` makes others")
            case Listening():
                self._listening(event)
            case Stopping():
                self._say("stopping", f"{event.reason}; finishing what is in flight")
            case Stopped():
                self._say("stopped", "")

    def settings(self, chosen: Sequence[str]) -> None:
        """Say which settings are not at their defaults, and why."""
        if chosen:
            self._say("settings", ", ".join(chosen))

    def _listening(self, event: Listening) -> None:
        self._addresses = event.addresses
        for address in event.addresses:
            self._say("serving", f"{address.url}  ({', '.join(address.wires)})", "green")
        self._note(f"Salver {__version__}, data in {event.data_dir}, Ctrl-C stops")
        for ready in self._waiting.values():
            self._commands(ready)
        self._waiting.clear()

    def _ready(self, event: ModelReady) -> None:
        version = event.info.id
        self._say("ready", f"{version.model} version {version.version}", "green")
        if version in self._told:
            return
        self._told.add(version)
        for name, signature in event.info.signatures.items():
            self._note(signature_text(signature, name))
        if self._addresses:
            self._commands(event)
        else:
            self._waiting[version] = event

    def _failed(self, event: ModelFailed) -> None:
        status = event.status
        self._say("failed", f"{status.id.model} version {status.id.version}: {status.reason}", "red")
        for line in status.log_tail[-LOG_LINES:]:
            self._note(f"| {line}")
        if status.fix:
            self._note(f"fix: {status.fix}")

    def _commands(self, event: ModelReady) -> None:
        commands = curl_commands(event.info, self._addresses, _folder(event.status.source), needs_key=self._needs_key)
        if commands:
            self._say("try", f"{event.info.id.model}:", "cyan")
        for command in commands:
            self._console.print(f"  # {command.wire}", style="dim")
            self._console.print(f"  {command.text}")

    def _say(self, word: str, text: str, colour: str = "default") -> None:
        self._console.print(f"{word:<9}", style=f"bold {colour}", end="")
        self._console.print(text)

    def _note(self, text: str) -> None:
        self._console.print(f"{'':<9}{text}", style="dim")


def _folder(source: str) -> PurePath:
    """Where a model's own files are: its folder, or the folder of its file."""
    path = Path(source)
    return path if path.is_dir() else path.parent
