"""The models that a start-up line or a config.properties names, and what it says of their workers and batches. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from salver.errors import Code, StartupError

_NAMED = re.compile(r"(?P<name>[^=:/\s]+)=(?P<location>.+)", re.DOTALL)
_UNFIT = re.compile(r"\W+", re.ASCII)


class ModelWords(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of how one version is run; None: nothing."""

    workers: int | None = None
    batch_size: int | None = None
    max_batch_delay_ms: int | None = None
    response_timeout_s: int | None = None


class StartModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the start: a file or folder of the model store, or an address."""

    location: str
    name: str | None = None
    version: str | None = None
    """Where a snapshot names one."""
    is_default: bool = False
    words: ModelWords = ModelWords()

    @property
    def is_remote(self) -> bool:
        return "://" in self.location


ModelTable: TypeAlias = Mapping[str, Mapping[str, ModelWords]]
"""By a model's name and its version's text."""


def named_models(texts: Sequence[str]) -> tuple[StartModel, ...]:
    """Models as `name=location` or `location`."""
    models = []
    for text in texts:
        found = _NAMED.fullmatch(text.strip())
        name, location = (found["name"], found["location"]) if found else (None, text.strip())
        models.append(StartModel(location=location.strip(), name=name))
    return tuple(models)


def default_name(file_name: str) -> str:
    """What a model is called whose archive and start-up line do not say."""
    stem = file_name
    for ending in (".tar.gz", ".tgz", ".mar", ".model"):
        stem = stem.removesuffix(ending)
    return _UNFIT.sub("_", stem)


def model_table(text: str, place: str) -> ModelTable:
    """The value of `models`. Raises StartupError(SETTINGS_INVALID)."""
    return {
        name: {version: _words(row, place) for version, row in versions.items()}
        for name, versions in _versions(_document(text, place), place).items()
    }


def snapshot_models(text: str, place: str) -> tuple[StartModel, ...]:
    """The models of a snapshot. Raises StartupError(SETTINGS_INVALID)."""
    document = _document(text, place)
    models = _versions(document.get("models") or {}, place)
    found: list[StartModel] = []
    for name, versions in models.items():
        for version, row in versions.items():
            location = row.get("marName")
            if not isinstance(location, str) or not location:
                raise _refused(place, f"version {version} of {name} names no marName")
            words = _words(row, place)
            is_default = row.get("defaultVersion") is True
            found.append(StartModel(location=location, name=name, version=version, is_default=is_default, words=words))
    return tuple(found)


def _document(text: str, place: str) -> dict[str, Any]:
    if not text.strip():
        return {}
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused(place, f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _refused(place, "is no JSON object")
    return document


def _versions(document: Any, place: str) -> dict[str, dict[str, dict[str, Any]]]:
    if not isinstance(document, dict):
        raise _refused(place, "is no JSON object")
    for name, versions in document.items():
        if not isinstance(versions, dict) or not all(isinstance(row, dict) for row in versions.values()):
            raise _refused(place, f"{name} must have an object for each version")
    return document


def _words(row: Mapping[str, Any], place: str) -> ModelWords:
    least = _whole(row, "minWorkers", place)
    return ModelWords(
        workers=least,
        batch_size=_whole(row, "batchSize", place),
        max_batch_delay_ms=_whole(row, "maxBatchDelay", place),
        response_timeout_s=_whole(row, "responseTimeout", place),
    )


def _whole(row: Mapping[str, Any], key: str, place: str) -> int | None:
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _refused(place, f"{key} must be a whole number, not {value!r}")
    return value


def _refused(place: str, why: str) -> StartupError:
    return StartupError(
        Code.SETTINGS_INVALID,
        f"{place} {why}.",
        fix='Write it as {"name": {"1.0": {"marName": "name.mar", "minWorkers": 1, "batchSize": 1}}}.',
    )
