"""Folders that spaCy's `nlp.to_disk` wrote."""

from __future__ import annotations

from pathlib import Path

import msgspec

from salver.models.recognising.base import Recognition

META, CONFIG = "meta.json", "config.cfg"
MAX_META_BYTES = 8 * 1024 * 1024


class SpacyMeta(msgspec.Struct, frozen=True):
    """Of meta.json, what tells the folder from others and what it is to run in."""

    lang: str
    pipeline: list[str]
    spacy_version: str = ""
    requirements: list[str] = []


def recognise_spacy(folder: Path) -> Recognition | None:
    meta = spacy_meta(folder)
    if meta is None:
        return None
    steps = ", ".join(meta.pipeline) or "a tokenizer alone"
    return Recognition(runtime="spacy", artifact=folder, trust="code", label=f"spaCy pipeline ({meta.lang}: {steps})")


def spacy_meta(folder: Path) -> SpacyMeta | None:
    """None when the folder is no pipeline."""
    if not (folder / META).is_file() or not (folder / CONFIG).is_file():
        return None
    try:
        with (folder / META).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_META_BYTES), type=SpacyMeta)
    except (OSError, msgspec.DecodeError):
        return None
