"""Writes an import into a folder: what is there already and the same stays, what somebody changed since stays too.

::

    salver.toml                      the server's settings
    models/NAME/...                  files that all versions need
    models/NAME/VERSION/...          one version, with a model.toml where something was said of it
    import.json                      what was written, so that a second run knows what others changed
"""

from __future__ import annotations

import enum
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from salver.errors import Code, StartupError
from salver.importers.base import Imported, ImportedModel, ImportedVersion
from salver.importers.tomltext import manifest_text, settings_text
from salver.models.manifest import FILE_NAME
from salver.settings.file import FILE_NAME as SETTINGS_FILE

RECORD = "import.json"
MODELS = "models"
BLOCK = 1024 * 1024


class Deed(enum.Enum):
    """What became of one file."""

    WRITTEN = "written"
    SAME = "same"
    KEPT = "kept"
    """Somebody changed it since the last import, so it stays as it is."""


class Item(msgspec.Struct, frozen=True):
    """A file that shall be: where, and its content or the file that it is copied from."""

    place: str
    content: bytes | Path


class Record(msgspec.Struct):
    """What an import wrote: the SHA-256 of each file."""

    source: str = ""
    files: dict[str, str] = {}


def write(imported: Imported, into: Path) -> dict[str, Deed]:
    """What became of each file, by its place in the folder. Raises StartupError when the folder cannot be used."""
    check_apart(imported, into)
    record = _record(into)
    deeds: dict[str, Deed] = {}
    files: dict[str, str] = dict(record.files)
    try:
        for item in items(imported):
            deeds[item.place], files[item.place] = _put(item, into, record.files.get(item.place))
        content = msgspec.json.encode(Record(source=imported.source, files=files))
        _replace(into / RECORD, msgspec.json.format(content, indent=2) + b"\n")
    except OSError as error:
        message = f"{into} cannot be written: {error.strerror}"
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Choose another folder with --into.") from error
    return deeds


def items(imported: Imported) -> Iterator[Item]:
    """Every file of the import."""
    note = f"Written by `salver import {imported.source}`. It is yours now: a second import keeps what you change."
    text, _ = settings_text(imported.settings, note)
    yield Item(SETTINGS_FILE, text.encode())
    for model in imported.models:
        if model.served:
            home = f"{MODELS}/{model.name}"
            yield from (Item(f"{home}/{file.name}", file) for file in model.files)
            for version in model.served:
                yield from _version_items(f"{home}/{version.number}", version, imported.server)


def package(model: ImportedModel, version: ImportedVersion, server: str) -> Iterator[Item]:
    """One version as a folder of its own, for a push."""
    yield from (Item(file.name, file) for file in model.files)
    yield from (Item(item.place.removeprefix("./"), item.content) for item in _version_items(".", version, server))


def lay_out(all_items: Iterator[Item], folder: Path) -> None:
    """Write items into an empty folder."""
    for item in all_items:
        _put(item, folder, None)


def _version_items(home: str, version: ImportedVersion, server: str) -> Iterator[Item]:
    path = version.path
    if path.is_dir():
        names = sorted(
            os.path.join(folder, name) for folder, _, names in os.walk(path, followlinks=False) for name in names
        )
        for name in names:
            if os.path.isfile(name):
                yield Item(f"{home}/{os.path.relpath(name, path)}", Path(name))
    else:
        yield Item(f"{home}/{path.name}", path)
    text = manifest_text(version.manifest, f"What {server} was told of this model.")
    if text and not (path / FILE_NAME).is_file():
        yield Item(f"{home}/{FILE_NAME}", text.encode())


def check_apart(imported: Imported, into: Path) -> None:
    """An import never writes where it reads."""
    target = into.resolve()
    source = Path(imported.source).resolve()
    versions = [version.path.resolve() for model in imported.models for version in model.versions]
    places = [path if path.is_dir() else path.parent for path in versions]
    if source.is_dir():
        places.append(source)
    if target == source.parent or any(target.is_relative_to(place) for place in places):
        message = f"{into} lies in what is imported, which is never changed"
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Choose another folder with --into.")


def _put(item: Item, into: Path, before: str | None) -> tuple[Deed, str]:
    """What became of the file, and the digest that the next import compares with."""
    place = into / item.place
    wanted = _digest(item.content)
    there = _digest(place) if place.is_file() else None
    if there == wanted:
        return Deed.SAME, wanted
    if there is not None and there != before:
        return Deed.KEPT, before or ""
    place.parent.mkdir(parents=True, exist_ok=True)
    _replace(place, item.content)
    return Deed.WRITTEN, wanted


def _replace(place: Path, content: bytes | Path) -> None:
    """The file is there whole, or as it was before."""
    part = place.with_name(f".{place.name}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        part.write_bytes(content)
    else:
        shutil.copyfile(content, part)
    part.replace(place)


def _digest(content: bytes | Path) -> str:
    digest = hashlib.sha256(content if isinstance(content, bytes) else b"")
    if isinstance(content, Path):
        with content.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _record(into: Path) -> Record:
    try:
        return msgspec.json.decode((into / RECORD).read_bytes(), type=Record)
    except FileNotFoundError:
        return Record()
    except (OSError, msgspec.DecodeError) as error:
        message = f"{into / RECORD} cannot be read: {error}"
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Remove it, or choose another folder.") from error
