"""Which modules a pickle imports, read without opening it: bounded amounts are looked through, nothing is run.

A pickle names a class as its module and its name, as text in either of two forms. Arrays that joblib puts between the
opcodes cannot be parsed over, so the bytes are searched for those forms. What only looks like one costs a package that
is not needed.
"""

from __future__ import annotations

import lzma
import pickletools
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from salver.models.pickles import compression, decompressed_start, is_pickle
from salver.models.unpacking import unpacked

PACKAGES = {
    "catboost": ("catboost",),
    "category_encoders": ("category-encoders",),
    "cloudpickle": ("cloudpickle",),
    "dill": ("dill",),
    "feature_engine": ("feature-engine",),
    "formulaic": ("formulaic",),
    "imblearn": ("imbalanced-learn",),
    "lightgbm": ("lightgbm",),
    "mapie": ("mapie",),
    "ngboost": ("ngboost",),
    "pandas": ("pandas",),
    "patsy": ("patsy",),
    "polars": ("polars",),
    "pygam": ("pygam",),
    "sklego": ("scikit-lego",),
    "sklearn_pandas": ("sklearn-pandas",),
    "statsmodels": ("statsmodels",),
    "umap": ("umap-learn",),
    "xgboost": ("xgboost-cpu",),
}
"""By the name that is imported: what provides it. `sklearn` is not among them: its version is looked for as well."""

_OVERLAP = 256
_TEXT = re.compile(rb"\x8c(.)([A-Za-z_]\w*(?:\.\w+)*)\x94(?=[\x8chj\x93])", re.DOTALL)
_LINE = re.compile(rb"c([A-Za-z_]\w*(?:\.\w+)*)\n[A-Za-z_][\w.]*\n")
_MAX_OPCODES = 64


def root_module(head: bytes) -> str:
    """The module of the object that a pickle holds, by its first bytes, compressed or not; empty where it has none."""
    start = head if is_pickle(head) else decompressed_start(head)
    texts: list[str] = []
    try:
        for count, (opcode, value, _position) in enumerate(pickletools.genops(start)):
            if opcode.name == "GLOBAL":
                return str(value).partition(" ")[0]
            if opcode.name == "STACK_GLOBAL" and len(texts) > 1:
                return texts[-2]
            if isinstance(value, str):
                texts.append(value)
            if count > _MAX_OPCODES:
                break
    except (ValueError, EOFError, UnicodeDecodeError):
        pass  # the first bytes end in the middle of an opcode
    return ""


def imported_packages(artifact: Path) -> tuple[str, ...]:
    """The packages that the pickle's classes are of, of those that are known; none where it cannot be read."""
    roots: set[str] = set()
    try:
        for part in _parts(artifact):
            roots.update(_roots(part))
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return ()
    return tuple(sorted({package for root in roots for package in PACKAGES.get(root, ())}))


def names_in(artifact: Path, names: Sequence[bytes]) -> set[bytes]:
    """Those of these names of attributes that the pickle mentions; none where it cannot be read."""
    try:
        return {name for part in _parts(artifact) for name in names if name in part}
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return set()


def _parts(artifact: Path) -> Iterator[bytes]:
    if not artifact.is_file():
        return
    with artifact.open("rb") as file:
        start = file.read(16)
        kind = compression(start)
        if kind is None and not is_pickle(start):
            return
        file.seek(0)
        before = b""
        for chunk in unpacked(file, kind):
            yield before + chunk
            before = chunk[-_OVERLAP:]


def _roots(part: bytes) -> Iterator[str]:
    for found in _TEXT.finditer(part):
        if found[1][0] == len(found[2]):
            yield found[2].partition(b".")[0].decode("ascii", "replace")
    for found in _LINE.finditer(part):
        yield found[1].partition(b".")[0].decode("ascii", "replace")
