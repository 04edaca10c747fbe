"""What an artefact tells of the library that it was saved with. Bounded amounts are read; nothing of it is opened."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from salver.models.onnxfile import read_outline
from salver.models.pickles import HEAD_BYTES, compression
from salver.models.protofields import CutShort
from salver.models.recordedmodels import recorded_mlflow, recorded_spacy, recorded_statsmodels, recorded_xgboost
from salver.models.unpacking import unpacked
from salver.models.zips import ZipRefused, open_zip

MAX_SCHEMA_BYTES = 4 * 1024 * 1024
_OVERLAP = 128

_PICKLED = re.compile(rb"_sklearn_version.{1,12}?(\d{1,3}\.\d{1,3})(?:\.\d{1,3})?", re.DOTALL)
_SCHEMA = re.compile(rb'"_sklearn_version"\s*:\s*\{[^{}]*?"content"\s*:\s*"\\?"?(\d{1,3}\.\d{1,3})')
ONNXRUNTIME = ((21, "1.18"), (19, "1.15"), (18, "1.14"), (17, "1.12"), (16, "1.11"), (15, "1.10"), (14, "1.8"))
"""The oldest onnxruntime that knows an opset, the newest opset first (its table of compatibility)."""


def recorded_requirement(runtime: str, artifact: Path) -> str | None:
    """The requirement of what the artefact tells, as `scikit-learn==1.5.*`; None where it tells nothing."""
    reader = READERS.get(runtime)
    return None if reader is None else reader(artifact)


def recorded_sklearn(artifact: Path) -> str | None:
    series = sklearn_series(artifact)
    return None if series is None else f"scikit-learn=={series}.*"


def sklearn_series(artifact: Path) -> str | None:
    """The series of scikit-learn that saved the artefact, as `1.5`; None where it does not say, or cannot be read."""
    if not artifact.is_file():
        return None
    try:
        return _skops(artifact) or _pickled(artifact)
    except (OSError, EOFError, zlib.error, lzma.LZMAError, ZipRefused, KeyError):
        return None


def recorded_onnx(artifact: Path) -> str:
    return onnxruntime_for(recorded_opset(artifact))


def recorded_opset(artifact: Path) -> int | None:
    """Of an ONNX file."""
    try:
        with artifact.open("rb") as file:
            outline = read_outline(file, artifact.stat().st_size)
    except (OSError, CutShort):
        return None
    return None if outline is None else outline.opset


def onnxruntime_for(opset: int | None) -> str:
    """The requirement of a model with this opset: a newer onnxruntime reads all older ones."""
    oldest = next((version for known, version in ONNXRUNTIME if opset is not None and opset >= known), None)
    return "onnxruntime" if oldest is None else f"onnxruntime>={oldest}"


def _skops(path: Path) -> str | None:
    with path.open("rb") as file:
        if not file.read(4).startswith(b"PK"):
            return None
    with open_zip(path) as archive, archive.open("schema.json") as schema:
        found = _SCHEMA.search(schema.read(MAX_SCHEMA_BYTES))
    return None if found is None else found[1].decode()


def _pickled(path: Path) -> str | None:
    with path.open("rb") as file:
        kind = compression(file.read(HEAD_BYTES))
        file.seek(0)
        before = b""
        for chunk in unpacked(file, kind):
            found = _PICKLED.search(before + chunk)
            if found is not None:
                return found[1].decode()
            before = chunk[-_OVERLAP:]
    return None


READERS: dict[str, Callable[[Path], str | None]] = {
    "sklearn": recorded_sklearn,
    "onnx": recorded_onnx,
    "xgboost": recorded_xgboost,
    "statsmodels": recorded_statsmodels,
    "spacy": recorded_spacy,
    "mlflow": recorded_mlflow,
}
"""By the name of the runtime."""
