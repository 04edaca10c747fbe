"""Formats that are known by sight and have no runtime yet, so that an error can name them and say what helps.

A row belongs to the runtime that would serve it; a runtime that is added takes its rows away.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError

_FUNCTION = "write a Python file with a `predict` function that loads it, and serve that file"
_EITHER = f"or {_FUNCTION}"


class Unserved(msgspec.Struct, frozen=True, kw_only=True):
    """One format: the runtime it waits for (empty: it is no model), how it is recognised, and what to do instead.

    `starts` are (offset, bytes) of which one must be there; `endings` are of the file's name, in lower case. A row with
    both needs both. `members` are names in a zip or a folder that must all be there; one that begins with `*` is an
    ending.
    """

    runtime: str
    label: str
    advice: str
    starts: tuple[tuple[int, bytes], ...] = ()
    endings: tuple[str, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What follows the file's name in a message."""
        if not self.runtime:
            return f"is {self.label}"
        return f"is {self.label}: its runtime is not part of this release"

    def fits_file(self, name: str, head: bytes) -> bool:
        fits_start = not self.starts or any(head.startswith(start, offset) for offset, start in self.starts)
        return fits_start and (not self.endings or name.lower().endswith(self.endings))

    def fits_members(self, members: Collection[str]) -> bool:
        return bool(self.members) and all(_has(members, wanted) for wanted in self.members)


def unserved_file(name: str, head: bytes) -> Unserved | None:
    """The first row that fits a file of this name and these first bytes (4096 are enough)."""
    return next((row for row in FILES if row.fits_file(name, head)), None)


def unserved_error(path: Path, row: Unserved) -> LoadError:
    """The error about a file or folder that the row fits."""
    return LoadError(Code.FORMAT_UNKNOWN, f"{path} {row.problem}", fix=row.advice)


def unserved_members(rows: tuple[Unserved, ...], members: Collection[str]) -> Unserved | None:
    """The first of `rows` that fits the names in a zip, or the entries of a folder."""
    return next((row for row in rows if row.fits_members(members)), None)


def _has(members: Collection[str], wanted: str) -> bool:
    if wanted.startswith("*"):
        return any(member.endswith(wanted[1:]) for member in members)
    return wanted in members


_WEIGHTS = Unserved(
    runtime="",
    label="a file of weights without the model",
    advice="Save the whole model: with Keras, `model.save(path)`.",
)
_CHECKPOINT = Unserved(
    runtime="",
    label="a checkpoint of TensorFlow, which has no signatures",
    advice="Export the model with `tf.saved_model.save`, or `model.export` of Keras.",
)


def _row(base: Unserved, **changes: object) -> Unserved:
    return msgspec.structs.replace(base, **changes)


FILES: tuple[Unserved, ...] = (
    Unserved(
        runtime="",
        label="a Git LFS pointer, not the file that it points to",
        advice="Fetch the file itself with `git lfs pull`.",
        starts=((0, b"version https://git-lfs.github.com/spec/"),),
    ),
    Unserved(
        runtime="",
        label="a web page, not a model",
        advice="Download the file itself; this is the page about it, or about an error.",
        starts=((0, b"<!DOCTYPE html"), (0, b"<!doctype html"), (0, b"<html")),
    ),
    Unserved(
        runtime="",
        label="a tar archive",
        advice="Unpack it and give the folder; model archives are taken as .mar, .tar.gz or as a folder.",
        starts=((257, b"ustar"),),
    ),
    _row(_WEIGHTS, starts=((0, b"\x89HDF\r\n\x1a\n"),)),
    Unserved(
        runtime="llama",
        label="a GGUF language model",
        advice="Serve it with an engine for language models.",
        starts=((0, b"GGUF"),),
    ),
    Unserved(
        runtime="caffe",
        label="a Caffe model",
        advice="Convert it to ONNX.",
        endings=(".caffemodel",),
    ),
    Unserved(
        runtime="coreml",
        label="a Core ML model",
        advice="Export the model from its own library to ONNX.",
        endings=(".mlmodel",),
    ),
    Unserved(
        runtime="tensorrt",
        label="a TensorRT engine",
        advice="Serve the ONNX file that it was built from.",
        endings=(".plan", ".engine"),
    ),
    Unserved(
        runtime="",
        label="a TensorFlow graph without signatures",
        advice=f"Save it as a SavedModel, or convert it to ONNX with `python -m tf2onnx.convert`, {_EITHER}.",
        endings=(".pb",),
    ),
    _row(_CHECKPOINT, endings=(".ckpt.index", ".ckpt.meta", "export.meta")),
)

ZIPS: tuple[Unserved, ...] = (
    Unserved(
        runtime="h2o",
        label="an H2O model",
        advice="Serve it through H2O's own scorer.",
        members=("model.ini",),
    ),
)

FOLDERS: tuple[Unserved, ...] = (_row(_CHECKPOINT, members=("checkpoint", "*.meta")),)
