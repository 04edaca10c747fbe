"""Which runtime a file or a folder wants."""

from __future__ import annotations

from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.listing import LISTING_NAME
from salver.models.pickles import decompressed_start
from salver.models.recognising.base import PACKAGE, FileView, Recognition, view_file
from salver.models.recognising.table import FILES, FOLDERS
from salver.models.unserved import FOLDERS as UNSERVED_FOLDERS
from salver.models.unserved import ZIPS, Unserved, unserved_error, unserved_file, unserved_members
from salver_worker.runtimes.specs import ECHO, SPECS

HIDDEN = (".", "__pycache__", "__MACOSX")
"""How the names begin that are never looked at."""


def recognise(path: Path, function: str | None = None) -> Recognition:
    """What the file or folder at `path` holds; `function` is of a Python file.

    Raises LoadError: FORMAT_UNKNOWN tells what was found and what is accepted, MANIFEST_INVALID is about an archive's
    own manifest.
    """
    found = identify(path, function)
    if isinstance(found, Recognition):
        return found
    if found is not None:
        raise unserved_error(path, found)
    raise unknown_folder(path) if path.is_dir() else unknown_file(view_file(path))


def identify(path: Path, function: str | None = None) -> Recognition | Unserved | None:
    """Like `recognise`, but None for what is no known format at all."""
    if path.is_dir():
        return _identify_folder(path)
    view = view_file(path)
    if LISTING_NAME in view.members:
        return Recognition(runtime=PACKAGE, artifact=path, trust="code", label="Salver package")
    for recogniser in FILES.values():
        if found := recogniser(view, function):
            return found
    unserved = unserved_members(ZIPS, view.members)
    return unserved or unserved_file(path.name, view.head) or unserved_file(path.name, decompressed_start(view.head))


def entries(folder: Path) -> list[Path]:
    """What is in a folder, by name, without hidden files. Raises LoadError(FORMAT_UNKNOWN) when it cannot be read."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith(HIDDEN))
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Make the folder readable for the server.") from error


def unknown_file(view: FileView) -> LoadError:
    """Nobody knows this file: what was found, and what is accepted."""
    if view.size == 0:
        return LoadError(Code.FORMAT_UNKNOWN, f"{view.path} is empty", fix="Copy the file again.")
    start = view.head[:8]
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in start)
    ending = f"ending {view.path.suffix}" if view.path.suffix else "without an ending"
    message = (
        f"{view.path} is in no known format: {view.size} bytes, {ending}, beginning with {start.hex(' ')} ({shown})"
    )
    return LoadError(Code.FORMAT_UNKNOWN, message, fix=f"Accepted are {accepted_formats()}.")


def unknown_folder(folder: Path) -> LoadError:
    """Nobody knows this folder: what is in it, and what is accepted."""
    names = [path.name for path in entries(folder)]
    if not names:
        return LoadError(Code.FORMAT_UNKNOWN, f"{folder} is empty", fix="Give a folder that holds a model.")
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    message = f"{folder} holds no model that is known; it has {', '.join(names[:8])}{more}"
    return LoadError(Code.FORMAT_UNKNOWN, message, fix=f"Accepted are {accepted_formats()}.")


def accepted_formats() -> str:
    return ", ".join(
        f"{spec.label} [{' '.join((*spec.extensions, *spec.markers))}]" for spec in SPECS if spec is not ECHO
    )


def _identify_folder(folder: Path) -> Recognition | Unserved | None:
    """A folder that is an artefact as a whole; what its files are is not asked here."""
    for recogniser in FOLDERS.values():
        if found := recogniser(folder):
            return found
    return unserved_members(UNSERVED_FOLDERS, [path.name for path in entries(folder)])
