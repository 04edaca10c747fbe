"""SHA256SUMS: the file, as `sha256sum` writes it, by which whoever made a version vouches for its files."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.archiverules import plain_parts

FILE_NAME = "SHA256SUMS"
_MAX_BYTES = 4 * 1024 * 1024
_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)")
_FIX = f"Copy the file again, or write {FILE_NAME} anew with `sha256sum`."


def parse_sums(text: str) -> dict[str, str] | None:
    """Digests by the names of their files; None when a line is none of `sha256sum`."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or plain_parts(match[2]) is None:
            return None
        sums[match[2]] = match[1].lower()
    return sums


def check_sums(folder: Path) -> None:
    """Compare the files in a folder with its SHA256SUMS, where there is one. Raises LoadError(LOAD_FAILED)."""
    path = folder / FILE_NAME
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            sums = parse_sums(file.read(_MAX_BYTES).decode(errors="replace"))
        if sums is None:
            raise LoadError(Code.LOAD_FAILED, f"{path} is not as `sha256sum` writes it.", fix=_FIX)
        for name, wanted in sums.items():
            _check(folder / name, wanted)
    except OSError as error:
        raise LoadError(Code.LOAD_FAILED, f"{path} cannot be checked: {error.strerror}.", fix=_FIX) from error


def _check(path: Path, wanted: str) -> None:
    if not path.is_file():
        raise LoadError(Code.LOAD_FAILED, f"{path} is missing; {FILE_NAME} names it.", fix=_FIX)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise LoadError(Code.LOAD_FAILED, f"{path} is damaged: {FILE_NAME} has another digest for it.", fix=_FIX)
