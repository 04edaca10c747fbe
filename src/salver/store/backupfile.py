"""The form of a backup: one file of JSON lines that any database can be filled from.

    {"format": "salver-state", "version": 1, "step": "0002", "rows": {"api_keys": 2, ...}, ...}   the header
    {"table": "api_keys", "row": {"id": "...", "digest": "<base64>", ...}}                        a line for each row
    {"sha256": "..."}                                                             of every byte before this line

A file that was cut short, changed or put together from two has another digest or other counts, and is refused.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, TypeAlias, TypeVar

import msgspec

from salver.errors import Code, StartupError
from salver.store.files import move_into_place

FORMAT = "salver-state"
VERSION = 1

Line = TypeVar("Line", bound=msgspec.Struct)
Cell: TypeAlias = str | int | float | bool | None
"""A value of a row as JSON has it: bytes are base64."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. `step` is the migration step of the tables, `rows` how many each table has."""

    format: str = FORMAT
    version: int = VERSION
    step: str
    salver: str
    made_at: str
    rows: dict[str, int]


class Row(msgspec.Struct, frozen=True):
    """One row of one table, by the names of its columns."""

    table: str
    row: dict[str, Cell]


class _RowOut(msgspec.Struct, frozen=True):
    table: str
    row: Mapping[str, object]


class _End(msgspec.Struct, frozen=True):
    sha256: str


def write_backup_file(path: Path, header: Header, rows: Iterable[tuple[str, Mapping[str, object]]]) -> None:
    """Write a new file, for its owner alone, that is there whole or not at all. Never in another one's place.

    Raises StartupError, and what `rows` raises.
    """
    if path.exists():
        raise _unwritable(path, "it is there already", "Choose another name, or move that file away.")
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb") as file:
                _write(file, header, rows)
            move_into_place(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, f"{error.strerror}", "Choose a place with room that you may write to.") from error


class BackupFile:
    """A backup that is read from its beginning to its end, once. Raises StartupError when it cannot be trusted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The backup {path} cannot be read: {error.strerror}.",
                fix="Give the path of a file that `salver state backup` made.",
            ) from error
        self._digest = hashlib.sha256()
        try:
            self.header = self._read_header()
        except BaseException:
            self.close()
            raise

    def rows(self) -> Iterator[Row]:
        """Every row. Only after the last one is it known that the file is whole: keep nothing of it before."""
        missing = dict(self.header.rows)
        for line in self._file:
            end = _decoded(line, _End)
            if end is not None:
                self._check_end(end, missing)
                return
            row = _decoded(line, Row)
            if row is None or not missing.get(row.table):
                raise self._damaged("a line in it is not a row of a known table")
            missing[row.table] -= 1
            self._digest.update(line)
            yield row
        raise self._damaged("its end is missing")

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> BackupFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_header(self) -> Header:
        line = self._file.readline()
        self._digest.update(line)
        header = _decoded(line, Header)
        if header is None or header.format != FORMAT:
            raise StartupError(
                Code.SETTINGS_INVALID,
                f"The file {self._path} is not a backup of a state.",
                fix="Give the path of a file that `salver state backup` made.",
            )
        if header.version > VERSION:
            raise StartupError(
                Code.STATE_DAMAGED,
                f"The backup {self._path} was written by a newer Salver ({header.salver}).",
                fix="Restore it with that version or a newer one.",
            )
        return header

    def _check_end(self, end: _End, missing: Mapping[str, int]) -> None:
        if end.sha256 != self._digest.hexdigest():
            raise self._damaged("its content does not match its checksum")
        if any(missing.values()) or self._file.readline():
            raise self._damaged("it has more or fewer rows than it should")

    def _damaged(self, reason: str) -> StartupError:
        return StartupError(
            Code.STATE_DAMAGED,
            f"The backup {self._path} is damaged: {reason}. Nothing was changed.",
            fix="Use another backup, or a fresh copy of this one.",
        )


def _write(file: BinaryIO, header: Header, rows: Iterable[tuple[str, Mapping[str, object]]]) -> None:
    digest = hashlib.sha256()
    encoder = msgspec.json.Encoder()

    def put(value: msgspec.Struct) -> None:
        line = encoder.encode(value) + b"\n"
        digest.update(line)
        file.write(line)

    put(header)
    for table, row in rows:
        put(_RowOut(table, row))
    put(_End(digest.hexdigest()))
    file.flush()
    os.fsync(file.fileno())


def _decoded(line: bytes, type_: type[Line]) -> Line | None:
    """The line as this struct; None when it is none, or was cut short."""
    try:
        return msgspec.json.decode(line, type=type_) if line.endswith(b"\n") else None
    except msgspec.DecodeError:
        return None


def _unwritable(path: Path, reason: str, fix: str) -> StartupError:
    return StartupError(Code.SETTINGS_INVALID, f"The backup {path} cannot be written: {reason}.", fix=fix)
