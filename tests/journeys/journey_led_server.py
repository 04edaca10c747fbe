"""`salver` that serves what a test writes into `wanted.json` in its data directory, each time it is sent SIGUSR1.

What the operations for versions will do, without them. The document is `{"name", "versions": {NUMBER: PATH}}` and any
of "replicas", "labels", "asleep"; failures are kept until the document says `"retry": true`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from salver import app
from salver.cli.main import main
from salver.models.discovery import discover
from salver.models.wanted import WantedModel
from salver.processes.control import ControlHalf
from salver.replicas.base import ReplicaSpec
from salver.settings import Settings
from salver.store.directory import DataDirectory
from salver.types import ModelVersion, Preserve, VersionFailure, VersionPolicy


class Lead:
    """Reads the document and wants what it says."""

    def __init__(self, control: ControlHalf, settings: Settings, directory: DataDirectory) -> None:
        self._reconciler = control.reconciler
        self._settings = settings
        self._artifacts = directory.folder("artifacts")
        self._document = directory.path / "wanted.json"
        self._failures: dict[int, VersionFailure] = {}
        self._reconciler.on_failure = self._note_failure
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._follow)

    def _note_failure(self, id: ModelVersion, failure: VersionFailure | None) -> None:
        if failure is None:
            self._failures.pop(id.version, None)
        else:
            self._failures[id.version] = failure

    def _follow(self) -> None:
        document = json.loads(self._document.read_text())
        if document.pop("retry", False):
            self._failures.clear()
        self._reconciler.want([self._wanted(**document)])

    def _wanted(
        self,
        name: str,
        versions: dict[str, str],
        replicas: int = 1,
        preserve: str = Preserve.AVAILABILITY.value,
        **fields: Any,
    ) -> WantedModel:
        specs = tuple(self._spec(ModelVersion(name, int(number)), path, replicas) for number, path in versions.items())
        return WantedModel(
            name=name,
            specs=specs,
            known=tuple(range(10)),  # none of them is deleted
            policy=VersionPolicy(preserve=Preserve(preserve)),
            failures=dict(self._failures),
            **fields,
        )

    def _spec(self, id: ModelVersion, path: str, replicas: int) -> ReplicaSpec:
        (source,) = discover([path], self._artifacts).models
        return msgspec.structs.replace(app._spec(source, self._settings), id=id, replicas=replicas)


def lead() -> None:
    """From now on a server that starts in this process is led."""
    plain = app._control_half

    def led(settings: Settings, directory: DataDirectory, *rest: Any) -> ControlHalf:
        control = plain(settings, directory, *rest)
        leads.append(Lead(control, settings, directory))
        return control

    leads: list[Lead] = []
    app._control_half = led


if __name__ == "__main__":
    assert Path(__file__).is_file()
    lead()
    sys.exit(main())
