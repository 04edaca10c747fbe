"""Versions by the names that archives give them (`1.0`), and by the numbers that they have here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from salver.types import ModelStatus, VersionStatus, own_name_or_number, own_number

UNKNOWN = -1
"""The number of no version: whoever asks for it hears that there is none of that name."""


class Directory(Protocol):
    """The models as they are served now. What it says of one is for those who may know it."""

    def __call__(self) -> Mapping[str, ModelStatus]: ...


def nothing_served() -> Mapping[str, ModelStatus]:
    return {}


def number_of(model: ModelStatus | None, text: str) -> int:
    """The number of the version that a client calls `text`; UNKNOWN when there is none.

    What an archive calls its version comes first. Else `2`, `2.0` and `2.0.0` are the version 2.
    """
    versions = () if model is None else model.versions
    named = next((version for version in versions if version.own_name == text), None)
    if named is not None:
        return named.id.version
    number = own_number(text)
    is_known = any(version.id.version == number for version in versions)
    return number if number is not None and is_known else UNKNOWN


def name_of(version: VersionStatus) -> str:
    """What clients call a version."""
    return own_name_or_number(version.own_name, version.id.version)


def name_among(model: ModelStatus | None, number: int | None) -> str:
    """What clients call the version of this number."""
    if number is None:
        return ""
    versions = () if model is None else model.versions
    return next((name_of(version) for version in versions if version.id.version == number), f"{number}.0")
