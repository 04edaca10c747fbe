"""One model: what it should be, and who plays it."""

from __future__ import annotations

import operator

from salver.models.entry import Entry, shown
from salver.models.lifeline import Signpost, Situation
from salver.models.wanted import WantedModel
from salver.types import ModelStatus, ModelVersion, VersionStatus


class Cast:
    """The lives of one model's versions, and where requests are led among them."""

    def __init__(self, wanted: WantedModel) -> None:
        self.wanted = wanted
        self.entries: list[Entry] = []
        self.signpost = Signpost()
        self.told = Signpost()
        self._told: tuple[tuple[object, ...], ModelStatus] | None = None
        """What was told of it last, and what of."""

    def situation(self) -> Situation:
        lives = tuple(entry.life() for entry in self.entries)
        return Situation(wanted=self.wanted, lives=lives, signpost=self.signpost, told=self.told)

    def entry(self, number: int) -> Entry:
        return next(entry for entry in self.entries if entry.number == number)

    def of_version(self, id: ModelVersion) -> list[Entry]:
        """The lives of one version, the newest last."""
        return [entry for entry in self.entries if entry.id == id]

    def status(self) -> ModelStatus:
        """The same object as before where nothing of it is another one."""
        by_version: dict[int, list[Entry]] = {}
        for entry in self.entries:
            by_version.setdefault(entry.id.version, []).append(entry)
        versions = tuple(shown(by_version[version]) for version in sorted(by_version, reverse=True))
        facts = (self.wanted, self.signpost, *versions)
        if self._told is None or len(facts) != len(self._told[0]) or not all(map(operator.is_, self._told[0], facts)):
            self._told = facts, self._status(versions)
        return self._told[1]

    def _status(self, versions: tuple[VersionStatus, ...]) -> ModelStatus:
        return ModelStatus(
            name=self.wanted.name,
            versions=versions,
            default_version=self.signpost.default,
            labels=self.signpost.labels,
            policy=self.wanted.policy,
            route=self.signpost.route,
            scale=self.wanted.scale,
        )
