"""What a file of Keras tells of the version that saved it. HDF5 is searched within bounds, not parsed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from salver.models.zips import ZipRefused, open_zip

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 64 * 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024
_CHUNK = 1024 * 1024
_OVERLAP = 64
_CONFIG = b"model_config"
"""The attribute that holds a model; files of weights have none."""
_OF_KERAS_2 = b"batch_input_shape"
"""What Keras 2 writes of an input, and Keras 3 calls otherwise."""


def is_model(path: Path) -> bool:
    """Whether an HDF5 file holds a model, and not its weights alone."""
    return _holds(path, _CONFIG)


def keras_version(path: Path) -> str:
    """As `3.5.0`; `2` where only that can be told, and empty where nothing can."""
    try:
        with path.open("rb") as file:
            if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                return "2" if _holds(path, _OF_KERAS_2) else ""
        with open_zip(path) as archive, archive.open("metadata.json") as entry:
            version = json.loads(entry.read(MAX_METADATA_BYTES)).get("keras_version", "")
    except (OSError, ZipRefused, zipfile.BadZipFile, KeyError, ValueError, AttributeError):
        return ""
    return version if isinstance(version, str) else ""


def _holds(path: Path, wanted: bytes) -> bool:
    before = b""
    for chunk in _chunks(path):
        if wanted in before + chunk:
            return True
        before = chunk[-_OVERLAP:]
    return False


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for _ in range(MAX_BYTES // _CHUNK):
            chunk = file.read(_CHUNK)
            if not chunk:
                return
            yield chunk
