"""The columns of an R model: as R described them, as a signature, and as the bytes of a question."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from salver_worker.errors import InputError
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.r_link import DOUBLE_TYPE, INTEGER, INTEGER_TYPE, LOGICAL_TYPE, TEXT_TYPE, Answer

if TYPE_CHECKING:
    from salver_worker.arrays import Array

DATATYPES = {"double": "FP64", "integer": "INT32", "logical": "BOOL"}
DOUBLE = struct.Struct("<d")
MOST_LEVELS_TOLD = 12


class Column(NamedTuple):
    """One input or output. `width` is -1 for a vector, else the columns of a matrix, 0 where any number will do."""

    name: str
    kind: str
    width: int
    levels: Sequence[bytes] = ()

    @property
    def row(self) -> Dict[str, Any]:
        shape = [-1] if self.width < 0 else [-1, self.width or -1]
        return tensor(self.name, DATATYPES.get(self.kind, "BYTES"), shape)

    def sample(self) -> Array:
        """One row that may mean something: zeros, or the first level."""
        shape = (1,) if self.width < 0 else (1, self.width)
        if self.kind in DATATYPES:
            return np.zeros(shape, {"double": "<f8", "integer": "<i4", "logical": "?"}[self.kind])
        array = np.empty(shape, object)
        array.fill(self.levels[0] if self.levels else b"2000-01-01" if self.kind in ("date", "time") else b"")
        return array

    def encode(self, array: Array) -> List[bytes]:
        """The width and the elements, the first dimension next to each other."""
        width = INTEGER.pack(1 if array.ndim == 1 else array.shape[1])
        if self.kind == "double":
            return [width, np.asarray(array, "<f8").tobytes(order="F")]
        if self.kind in DATATYPES:
            return [width, np.asarray(array, "<i4").tobytes(order="F")]
        texts = array.ravel(order="F").tolist()
        return [width, self._codes(texts) if self.kind == "factor" else self._texts(texts)]

    def _codes(self, texts: Sequence[bytes]) -> bytes:
        known = {level: number for number, level in enumerate(self.levels, 1)}
        codes = [known.get(text, 0) for text in texts]
        if 0 in codes:
            row = codes.index(0)
            raise InputError(
                "the input %s has %s in row %d, and the model knows %s"
                % (self.name, _shown(texts[row]), row, _told(self.levels))
            )
        return np.array(codes, "<i4").tobytes()

    def _texts(self, texts: Sequence[bytes]) -> bytes:
        for row, text in enumerate(texts):
            if b"\0" in text or not _is_utf8(text):
                raise InputError("the input %s holds bytes in row %d that are not UTF-8 text" % (self.name, row))
        return b"".join([text + b"\0" for text in texts])


def read_columns(answer: Answer, kind: str) -> List[Column]:
    """The `input` or the `output` columns of a description; none where it has none."""
    names = answer.values.get(kind + "_names")
    if names is None:
        return []
    rows = zip(names.tolist(), answer.values[kind + "_types"].tolist(), answer.values[kind + "_widths"].tolist())
    levels = answer.values["levels"].tolist()
    counts = answer.values["level_counts"].tolist() if kind == "input" else [0] * len(names)
    columns, start = [], 0
    for (name, type_name, width), count in zip(rows, counts):
        columns.append(Column(name.decode(), type_name.decode(), width, levels[start : start + count]))
        start += count
    return columns


def encode_inputs(columns: Sequence[Column], inputs: Arrays) -> List[bytes]:
    """What a question says of its rows."""
    first = inputs[columns[0].name] if columns else None
    parts = [INTEGER.pack(1 if first is None else len(first))]
    for column in columns:
        parts += column.encode(inputs[column.name])
    return parts


def encode_options(known: Sequence[str], parameters: Mapping[str, Any]) -> List[bytes]:
    """The request's values for the arguments that have defaults."""
    chosen = [(name, parameters[name]) for name in known if name in parameters]
    parts = [INTEGER.pack(len(chosen))]
    for name, value in chosen:
        parts += [name.encode() + b"\0", _option(name, value)]
    return parts


def _option(name: str, value: Any) -> bytes:
    if isinstance(value, bool):
        return INTEGER.pack(LOGICAL_TYPE) + INTEGER.pack(value)
    if isinstance(value, int) and abs(value) < 2**31:
        return INTEGER.pack(INTEGER_TYPE) + INTEGER.pack(value)
    if isinstance(value, (int, float)):
        return INTEGER.pack(DOUBLE_TYPE) + DOUBLE.pack(value)
    if isinstance(value, str) and "\0" not in value:
        return INTEGER.pack(TEXT_TYPE) + value.encode() + b"\0"
    raise InputError("the parameter %s must be a number, text, true or false" % name)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(text: bytes) -> str:
    return repr(text[:80].decode("utf-8", "replace"))


def _told(levels: Sequence[bytes]) -> str:
    names = ", ".join(level.decode("utf-8", "replace") for level in levels[:MOST_LEVELS_TOLD])
    return names if len(levels) <= MOST_LEVELS_TOLD else "%s and %d more" % (names, len(levels) - MOST_LEVELS_TOLD)
