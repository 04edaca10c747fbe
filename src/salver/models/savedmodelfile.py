"""What a SavedModel says of the TensorFlow that saved it, from the outline of its graph.

Field numbers are those of saved_model.proto and meta_graph.proto.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import BinaryIO

from salver.models.protofields import LENGTH, NotProtobuf, fields

MAX_FIELDS = 64
MAX_VERSION_BYTES = 64
# SavedModel, MetaGraphDef, MetaInfoDef
_META_GRAPHS, _META_INFO, _TENSORFLOW_VERSION = 2, 1, 5
_SERIES = re.compile(r"(\d{1,3})\.(\d{1,3})")


def tensorflow_series(folder: Path) -> tuple[int, int] | None:
    """As (2, 15); None where the folder does not say."""
    path = folder / "saved_model.pb"
    try:
        with path.open("rb") as file:
            version = _version(file, path.stat().st_size)
    except (OSError, NotProtobuf):
        return None
    series = _SERIES.match(version)
    return None if series is None else (int(series[1]), int(series[2]))


def _version(file: BinaryIO, end: int) -> str:
    """The field that three messages lead to, each within the one before; empty where one of them is missing."""
    start = 0
    for wanted in (_META_GRAPHS, _META_INFO, _TENSORFLOW_VERSION):
        inside = itertools.islice(fields(file, start, end), MAX_FIELDS)
        found = next((field for field in inside if field.number == wanted and field.kind == LENGTH), None)
        if found is None:
            return ""
        start, end = found.start, found.end
    file.seek(start)
    return file.read(min(MAX_VERSION_BYTES, end - start)).decode(errors="replace")
