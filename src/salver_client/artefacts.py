"""A model's files on their way to a server: one file as it is, a folder packed into a temporary tar."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from salver_client.errors import SalverClientError

CHUNK_BYTES = 1024 * 1024
LEFT_OUT = frozenset({"__pycache__"})
"""Names that are no part of a model; neither is what begins with a dot."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """An open file with what is to be sent, and what it is called."""

    name: str
    file: IO[bytes]
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        self.file.seek(0)
        while chunk := self.file.read(CHUNK_BYTES):
            yield chunk

    async def async_chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks():
            yield chunk


@contextmanager
def opened(path: str | Path) -> Iterator[Artefact]:
    """The artefact at a path. Raises SalverClientError(INVALID_INPUT) for what cannot be read."""
    path = Path(path).expanduser()
    try:
        if path.is_dir():
            with tempfile.TemporaryFile() as packed:
                _pack(path, packed)
                yield Artefact(f"{path.resolve().name or 'model'}.tar", packed, packed.tell())
        else:
            with path.open("rb") as file:
                yield Artefact(path.name, file, path.stat().st_size)
    except OSError as error:
        raise SalverClientError(
            "INVALID_INPUT", f"{path} cannot be read: {error.strerror}.", fix="Check the path."
        ) from error


def _pack(folder: Path, file: IO[bytes]) -> None:
    with tarfile.open(fileobj=file, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            is_left_out = any(part.startswith(".") or part in LEFT_OUT for part in name.parts)
            if path.is_file() and not is_left_out:
                tar.add(path.resolve(), arcname=str(name))
