"""Turns an uploaded file into what it means: a file, or a folder that was packed as a zip or a tar."""

from __future__ import annotations

import stat
from pathlib import Path

from salver.models.archive import extract
from salver.models.archiverules import ArchiveLimits
from salver.models.packagefile import check_package, is_package
from salver.models.tars import extract_tar

_ZIP_ENDINGS = (".zip",)
_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz")


def is_packed_folder(name: str) -> bool:
    """Whether a file of this name is a folder on its way; a `.mar` or a `.npz` is an artefact itself."""
    return name.lower().endswith(_ZIP_ENDINGS + _TAR_ENDINGS)


def unpacked(upload: Path, name: str, folder: Path, limits: ArchiveLimits) -> Path:
    """The folder that an upload of this name holds, unpacked below the empty `folder`.

    A folder that alone was packed, as `zip -r model.zip model` does, stands for its content. A package is known by its
    content, whatever it is called, and must hold what its listing says. Raises ArchiveRefused,
    ZipRefused and OSError.
    """
    if is_package(upload):
        extract(upload, folder, limits)
        check_package(folder, name)
        return folder
    if name.lower().endswith(_ZIP_ENDINGS):
        for entry in extract(upload, folder, limits):
            if entry.external_attr >> 16 & stat.S_IXUSR:
                (folder / entry.filename).chmod(0o755)
    else:
        extract_tar(upload, folder, limits)
    entries = list(folder.iterdir())
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else folder
