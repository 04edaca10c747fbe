"""The repository: artefacts kept by their content, whole or not at all.

    sha256/ab/<digest>/                  one artefact; nothing in it may be written
    sha256/ab/<digest>/.salver-listing   its files with sizes and digests; the SHA-256 of this text is <digest>
    staging/                             what is being written or removed; the next sweep clears it

An artefact is written in `staging`, forced to the disk file by file, and renamed to its place: that moment, and no
other, makes it exist. ``listing.py`` says what the digest is of. All methods wait for the disk.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveLimits, ArchiveRefused
from salver.models.disk import Disk
from salver.models.listing import ListedFile, Listing, ListingInvalid, is_digest, listing_of, parse_listing
from salver.models.trees import TreeFile, TreeLimits, names_and_sizes, tree_files
from salver.models.uploads import is_packed_folder, unpacked
from salver.models.zips import ZipRefused

LISTING_NAME = ".salver-listing"

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SEALED = 0o555
_OPEN = 0o755


_Take = Callable[[TreeFile, Path], ListedFile]


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact in the repository. A single file keeps its own name inside the folder at `path`."""

    digest: str
    size_bytes: int
    path: Path


class Repository:
    """Owns its folder. Several threads may publish; one process at a time uses the folder."""

    def __init__(
        self,
        folder: Path,
        limits: TreeLimits | None = None,
        upload_limits: ArchiveLimits | None = None,
        disk: Disk | None = None,
    ) -> None:
        self._content = folder / "sha256"
        self._staging = folder / "staging"
        self._limits = limits or TreeLimits()
        self._upload_limits = upload_limits or ArchiveLimits()
        self._disk = disk or Disk()
        self._placing = threading.Lock()
        """Held while an artefact comes to its place or leaves it."""
        self._staging_names = threading.Lock()
        self._active: set[Path] = set()
        """The stagings of this moment, which a sweep leaves alone."""

    def publish(self, source: Path, name: str | None = None) -> Published:
        """Copy a file or folder into the repository; the same content is kept once, and mended if it was damaged.

        `name` is what a single file is called, when not as at its source. Raises LoadError: INVALID_INPUT for what is
        no fit artefact or changes meanwhile, LOAD_FAILED when the disk refuses.
        """
        with self._in_words(str(source)), self._stage("publishing") as stage:
            return self._publish(source, name, stage)

    def unpack_upload(self, upload: Path, name: str) -> Published:
        """Publish an uploaded file: a `.zip`, `.tar`, `.tar.gz` or `.tgz` as the folder in it, any other as it is.

        The upload itself stays where it is. Raises LoadError as `publish` does.
        """
        with self._in_words(f"The upload {name!r}"), self._stage("publishing") as stage:
            if not is_packed_folder(name):
                return self._publish(upload, name, stage)
            folder = stage / "unpacked"
            folder.mkdir()
            source = unpacked(upload, name, folder, self._upload_limits)
            return self._publish(source, None, stage, self._adopt)

    def open(self, digest: str) -> Path:
        """The artefact's folder, its listing and the names and sizes of its files checked.

        Raises LoadError(LOAD_FAILED) when it is missing or was altered; `verify` would find altered content as well.
        """
        self._checked(digest)
        return self._path(digest)

    def verify(self, digest: str) -> bool:
        """Whether the artefact is there and every byte of it is what was published."""
        try:
            listing = self._checked(digest)
            return all(_digest(self._path(digest) / file.name) == file.digest for file in listing.files)
        except (LoadError, OSError):
            return False

    def digests(self) -> tuple[str, ...]:
        """All artefacts that are here, whole or not."""
        return tuple(sorted(path.name for path in self._content.glob("*/*") if is_digest(path.name)))

    def remove(self, digest: str) -> None:
        """Remove an artefact, where there is one. Raises LoadError(LOAD_FAILED) when the disk refuses."""
        if not is_digest(digest) or not self._path(digest).is_dir():
            return
        with self._in_words(f"sha256:{digest}"), self._stage("removing") as stage, self._placing:
            self._set_aside(digest, stage)

    def sweep(self, keep: Collection[str]) -> int:
        """Remove what was left unfinished, and every artefact whose digest is not in `keep`; returns how many things.

        Publishings of this moment go on; their digests must be in `keep` once they have returned.
        """
        removed = 0
        with self._in_words(str(self._staging)):
            for path in self._unfinished():
                self._disk.remove_tree(path)
                removed += 1
        for digest in set(self.digests()) - set(keep):
            self.remove(digest)
            removed += 1
        return removed

    # Writing

    def _publish(self, source: Path, name: str | None, stage: Path, take: _Take | None = None) -> Published:
        """`take` brings one file into the artefact; without it, what is at the source is copied, and stays."""
        files = tree_files(source, name, self._limits)
        artefact = stage / "artefact"
        self._disk.make_folder(artefact)
        listing = listing_of([(take or self._copy)(file, artefact) for file in files])
        self._disk.copy(io.BytesIO(listing.encode()), artefact / LISTING_NAME, 0o444)
        for path, _, _ in os.walk(artefact, topdown=False):
            self._disk.seal(Path(path), _OPEN if Path(path) == artefact else _SEALED)
        if take is None and not all(file.is_unchanged(file.path.stat()) for file in files):
            raise ArchiveRefused("changed while it was read")
        with self._placing:
            self._place(artefact, listing.digest, stage)
        return Published(digest=listing.digest, size_bytes=listing.size_bytes, path=self._path(listing.digest))

    def _copy(self, file: TreeFile, artefact: Path) -> ListedFile:
        path = artefact / file.name
        self._disk.make_folders(path.parent)
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            if not file.is_unchanged(os.fstat(descriptor)):
                raise ArchiveRefused("changed while it was read")
            copied = self._disk.copy(source, path, 0o555 if file.is_executable else 0o444)
        if copied.size != file.size:
            raise ArchiveRefused("changed while it was read")
        return ListedFile(name=file.name, size=copied.size, is_executable=file.is_executable, digest=copied.digest)

    def _adopt(self, file: TreeFile, artefact: Path) -> ListedFile:
        """A file that was unpacked for this, and is nobody else's."""
        path = artefact / file.name
        self._disk.make_folders(path.parent)
        kept = self._disk.adopt(file.path, path, 0o555 if file.is_executable else 0o444)
        return ListedFile(name=file.name, size=kept.size, is_executable=file.is_executable, digest=kept.digest)

    def _place(self, artefact: Path, digest: str, stage: Path) -> None:
        """Make the artefact exist, unless it does already."""
        target = self._path(digest)
        self._disk.make_folders(target.parent)
        if target.is_dir() and not self.verify(digest):
            self._set_aside(digest, stage)
        try:
            self._disk.move(artefact, target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
            self._disk.sync(target.parent)  # whoever put it there may have ended before this
        self._disk.seal(target, _SEALED)

    def _set_aside(self, digest: str, stage: Path) -> None:
        """From here on the artefact does not exist; its files go with the staging."""
        target = self._path(digest)
        target.chmod(_OPEN)  # a folder that changes its parent must be open for writing
        self._disk.move(target, stage / "removed")

    @contextmanager
    def _stage(self, purpose: str) -> Iterator[Path]:
        """A folder of one's own on the same file system, gone at the end."""
        self._disk.make_folders(self._staging)
        with self._staging_names:
            stage = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=self._staging))
            self._active.add(stage)
        try:
            yield stage
        finally:
            try:
                self._disk.remove_tree(stage)
            finally:
                self._active.discard(stage)

    def _unfinished(self) -> list[Path]:
        """What was left by who is no more."""
        with self._staging_names:
            found = list(self._staging.iterdir()) if self._staging.is_dir() else []
            return [path for path in found if path not in self._active]

    # Reading

    def _path(self, digest: str) -> Path:
        return self._content / digest[:2] / digest

    def _checked(self, digest: str) -> Listing:
        """The listing, which is the one that the digest names, of files that are there with their sizes."""
        if not is_digest(digest):
            raise LoadError(Code.INVALID_INPUT, f"{digest!r} is no digest.", fix="Give 64 digits of a SHA-256 in hex.")
        path = self._path(digest)
        if not path.is_dir():
            fix = "Publish the artefact again with `salver push`."
            raise LoadError(Code.LOAD_FAILED, f"The repository has no artefact sha256:{digest}.", fix=fix)
        try:
            raw = (path / LISTING_NAME).read_bytes()
            listing = parse_listing(raw)
            found = names_and_sizes(path)
        except (OSError, ListingInvalid) as error:
            raise _damaged(path, "its listing cannot be read") from error
        if hashlib.sha256(raw).hexdigest() != digest:
            raise _damaged(path, "its listing was changed")
        wanted = {file.name: file.size for file in listing.files}
        if found != wanted:
            odd = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
            raise _damaged(path, f"{odd} was added, removed or changed")
        return listing

    @contextmanager
    def _in_words(self, source: str) -> Iterator[None]:
        try:
            yield
        except (ArchiveRefused, ZipRefused) as refused:
            fix = "Publish ordinary files that stay as they are; `max_artefact_gb` and `max_artefact_files` bound them."
            raise LoadError(Code.INVALID_INPUT, f"{source} {refused}", fix=fix) from refused
        except OSError as error:
            fix = "Let the server read it and write into its data directory, and make room there."
            message = f"{source} cannot be published or removed: {error.strerror}"
            code = Code.OVERLOADED if error.errno in _FULL else Code.LOAD_FAILED
            raise LoadError(code, message, fix=fix) from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, reason: str) -> LoadError:
    fix = "Publish the artefact again with `salver push`; the same content mends it."
    return LoadError(Code.LOAD_FAILED, f"The artefact {path} is damaged: {reason}.", fix=fix)
