"""Opens pickles. One is a program: it runs here, in the model's own process. None is opened elsewhere, but in
`torch_module.py` when somebody says so."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
from typing import Any, Callable, Tuple

_OPENERS: Tuple[Tuple[bytes, Callable[[str], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\x00", lzma.open),
    (b"\x5d\x00\x00", lzma.open),
)


def open_pickle(path: str) -> Any:
    """What a pickle holds, compressed or not; by joblib where it is installed, whose files hold arrays as they are."""
    try:
        import joblib
    except ModuleNotFoundError:
        with _opener(path)(path) as file:
            return pickle.load(file)  # noqa: S301
    return joblib.load(path)


def _opener(path: str) -> Callable[[str], Any]:
    with open(path, "rb") as file:
        start = file.read(8)
    return next((opener for magic, opener in _OPENERS if start.startswith(magic)), _plain)


def _plain(path: str) -> Any:
    return open(path, "rb")
