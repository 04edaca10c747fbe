"""An artefact on its way into the repository: what it calls its model, and settings that are to be kept with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.formats import identify
from salver.models.keptsettings import ArtefactSettings
from salver.models.manifest import FILE_NAME
from salver.models.naming import choose_name
from salver.models.recognising.base import Recognition

FOLDER = "with-settings"


def own_name(artefact: Path) -> str | None:
    """What a model archive calls its model, as a name that can be used; None for any other artefact."""
    found = identify(artefact)
    archive = found.archive if isinstance(found, Recognition) else None
    if archive is None or archive.name is None:
        return None
    return choose_name(None, archive.name, archive.name)[0] or None


def with_settings(artefact: Path, scratch: Path, settings: ArtefactSettings) -> Path:
    """The artefact itself, or a folder below `scratch` with it and a model.toml. Raises LoadError."""
    text = manifest_text(settings)
    if not text:
        return artefact
    folder = scratch / FOLDER
    try:
        if artefact.is_dir():
            shutil.copytree(artefact, folder, symlinks=True)
        else:
            folder.mkdir()
            shutil.copy2(artefact, folder / artefact.name)
    except OSError as error:
        raise LoadError(
            Code.LOAD_FAILED, f"{artefact.name} cannot be copied: {error.strerror}", fix="Make room on the disk."
        ) from error
    if (folder / FILE_NAME).exists():
        raise LoadError(
            Code.INVALID_INPUT,
            f"{artefact.name} has a {FILE_NAME}, and other settings were asked for.",
            fix="Leave them out of the call, or the file out of the folder.",
        )
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def manifest_text(settings: ArtefactSettings) -> str:
    """The model.toml that says the settings; empty when there are none."""
    lines = []
    if settings.handler is not None:
        lines.append(f"handler = {json.dumps(settings.handler)}")
    if settings.deadline_s is not None:
        lines.append(f"deadline_s = {settings.deadline_s:g}")
    batching = []
    if settings.max_batch_rows is not None:
        batching.append(f"max_batch_rows = {settings.max_batch_rows}")
    if settings.max_batch_delay_ms is not None:
        batching.append(f"max_batch_delay_ms = {settings.max_batch_delay_ms:g}")
    if batching:
        lines += ["[batching]", *batching]
    return "".join(f"{line}\n" for line in lines)
