"""What an artefact tells of the library that it was saved with. Bounded amounts are read; nothing of it is opened."""

from __future__ import annotations

import lzma
import re
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from salver.models.kerasfile import keras_version
from salver.models.onnxfile import read_outline
from salver.models.pickles import HEAD_BYTES, compression
from salver.models.protofields import CutShort
from salver.models.recordedmodels import recorded_mlflow, recorded_spacy, recorded_statsmodels, recorded_xgboost
from salver.models.savedmodelfile import tensorflow_series
from salver.models.unpacking import MAX_BYTES, unpacked
from salver.models.zips import ZipRefused, open_zip

MAX_SCHEMA_BYTES = 4 * 1024 * 1024
_OVERLAP = 128

_PICKLED = re.compile(rb"_sklearn_version.{1,12}?(\d{1,3}\.\d{1,3})(?:\.\d{1,3})?", re.DOTALL)
_SCHEMA = re.compile(rb'"_sklearn_version"\s*:\s*\{[^{}]*?"content"\s*:\s*"\\?"?(\d{1,3}\.\d{1,3})')
_PROGRAM = re.compile(r"[^/]+/models/[^/]+\.json|serialized_exported_program\.json")
_TORCH = re.compile(rb'"torch_version"\s*:\s*"(\d{1,3}\.\d{1,3})\.\d{1,3}(?:\+[a-z0-9.]*)?"')
_TRANSFORMERS = re.compile(rb'"transformers_version"\s*:\s*"(\d{1,3}\.\d{1,3})\.\d{1,3}"')
_SERIES = re.compile(r"(\d{1,3})\.(\d{1,3})")
KERAS_2, KERAS_2_UNTIL = "tensorflow-cpu==2.15.*", (3, 12)
"""The last TensorFlow with Keras 2 in it, and the Python that has no such TensorFlow."""
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


def recorded_torch(artifact: Path) -> str | None:
    """A program of `torch.export` names the release that saved it, and older ones may not read it."""
    if artifact.suffix == ".safetensors":
        return "safetensors"
    try:
        with artifact.open("rb") as file:
            if not file.read(4).startswith(b"PK"):
                return None
        with open_zip(artifact) as archive:
            names = [name for name in archive.namelist() if _PROGRAM.fullmatch(name)]
            found = None if not names else _last(_TORCH, _start_of(archive, names[0]))
    except (OSError, ZipRefused):
        return None
    return None if found is None else f"torch>={found}"


def recorded_transformers(artifact: Path) -> str | None:
    """config.json names the release that saved it; what one of development saved may need the next."""
    try:
        with (artifact / "config.json").open("rb") as file:
            found = _last(_TRANSFORMERS, file.read(MAX_SCHEMA_BYTES))
    except OSError:
        return None
    return None if found is None else f"transformers>={found}"


def _start_of(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(MAX_BYTES)


def _last(pattern: re.Pattern[bytes], raw: bytes) -> str | None:
    """The release in the last place that the pattern finds: what a model's own text says stands before it."""
    found = pattern.findall(raw)
    return found[-1].decode() if found else None


def recorded_tensorflow(artifact: Path) -> str | None:
    """TensorFlow reads what it saved before, however old; what is newer than it, it may not."""
    series = tensorflow_series(artifact)
    return None if series is None or series < (2, 0) else f"tensorflow-cpu>={series[0]}.{series[1]}"


def recorded_keras(artifact: Path) -> str | None:
    """Keras 3 reads what older ones of its kind saved. Keras 2 came with TensorFlow until 2.15."""
    version = keras_version(artifact)
    if version.startswith("2"):
        return KERAS_2 if sys.version_info < KERAS_2_UNTIL else None
    found = _SERIES.match(version)
    return None if found is None else f"keras>={found[1]}.{found[2]}"


READERS: dict[str, Callable[[Path], str | None]] = {
    "sklearn": recorded_sklearn,
    "onnx": recorded_onnx,
    "tensorflow": recorded_tensorflow,
    "keras": recorded_keras,
    "torch": recorded_torch,
    "transformers": recorded_transformers,
    "xgboost": recorded_xgboost,
    "statsmodels": recorded_statsmodels,
    "spacy": recorded_spacy,
    "mlflow": recorded_mlflow,
}
"""By the name of the runtime."""
