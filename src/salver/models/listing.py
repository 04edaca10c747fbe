"""What an artefact in the repository consists of, and the digest that names it. Pure.

A listing is text in UTF-8, one line for each file in the order of the names' code points:

    salver listing 1
    <SHA-256 of the content> <size in bytes> <x or -> <name, with / between folders>

`x` marks a file that may be run; no other right, owner or time counts. Folders follow from the names, so an empty one
is nothing. The artefact's digest is the SHA-256 of this text: who trusts the digest can trust the listing, and with it
every file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

from salver.models.archiverules import plain_parts

HEADER = "salver listing 1"
LISTING_NAME = ".salver-listing"
"""The file that it is kept in, beside the files that it lists."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,18}) ([x-]) (.+)")


class ListedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of an artefact."""

    name: str
    size: int
    is_executable: bool
    digest: str

    @property
    def mode(self) -> int:
        """The mode that it has in the repository: nobody may write."""
        return 0o555 if self.is_executable else 0o444


class Listing(msgspec.Struct, frozen=True):
    """All files of an artefact, by name."""

    files: tuple[ListedFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.encode()).hexdigest()

    def encode(self) -> bytes:
        lines = [f"{file.digest} {file.size} {'x' if file.is_executable else '-'} {file.name}" for file in self.files]
        return "\n".join((HEADER, *lines, "")).encode()


class ListingInvalid(Exception):
    """The bytes are no listing."""


def listing_of(files: Iterable[ListedFile]) -> Listing:
    return Listing(tuple(sorted(files, key=lambda file: file.name)))


def parse_listing(raw: bytes) -> Listing:
    """The listing that `encode` wrote. Raises ListingInvalid."""
    try:
        header, *lines, end = raw.decode().split("\n")
    except ValueError:
        raise ListingInvalid from None
    if header != HEADER or end:
        raise ListingInvalid
    return Listing(tuple(_parsed(line) for line in lines))


def is_digest(text: str) -> bool:
    """Whether this is a SHA-256 in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


def _parsed(line: str) -> ListedFile:
    match = _LINE.fullmatch(line)
    if match is None or plain_parts(match[4]) is None:
        raise ListingInvalid
    return ListedFile(digest=match[1], size=int(match[2]), is_executable=match[3] == "x", name=match[4])
