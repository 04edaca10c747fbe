"""One model: what it should be, and who plays it."""

from __future__ import annotations

from salver.models.entry import Entry, shown
from salver.models.lifeline import Signpost, Situation
from salver.models.wanted import WantedModel
from salver.types import ModelStatus, ModelVersion


class Cast:
    """The lives of one model's versions, and where requests are led among them."""

    def __init__(self, wanted: WantedModel) -> None:
        self.wanted = wanted
        self.entries: list[Entry] = []
        self.signpost = Signpost()
        self.told = Signpost()

    def situation(self) -> Situation:
        lives = tuple(entry.life() for entry in self.entries)
        return Situation(wanted=self.wanted, lives=lives, signpost=self.signpost, told=self.told)

    def entry(self, number: int) -> Entry:
        return next(entry for entry in self.entries if entry.number == number)

    def of_version(self, id: ModelVersion) -> list[Entry]:
        """The lives of one version, the newest last."""
        return [entry for entry in self.entries if entry.id == id]

    def status(self) -> ModelStatus:
        by_version: dict[int, list[Entry]] = {}
        for entry in self.entries:
            by_version.setdefault(entry.id.version, []).append(entry)
        return ModelStatus(
            name=self.wanted.name,
            versions=tuple(shown(by_version[version]) for version in sorted(by_version, reverse=True)),
            default_version=self.signpost.default,
            labels=self.signpost.labels,
            policy=self.wanted.policy,
            route=self.signpost.route,
            scale=self.wanted.scale,
        )
