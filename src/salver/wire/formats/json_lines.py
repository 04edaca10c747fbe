"""Outputs as lines of JSON (NDJSON): one object of values by output name for each row."""

from __future__ import annotations

import orjson

from salver.types import Array
from salver.wire.formats.table import rows_first
from salver.wire.jsontensors import encode_rows

OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE


def json_lines_answer(outputs: dict[str, Array], _beside: object, has_rows: bool) -> bytes:
    columns = {name: encode_rows(array) for name, array in rows_first(outputs, has_rows=has_rows).items()}
    rows = zip(*columns.values(), strict=True)
    return b"".join([orjson.dumps(dict(zip(columns, row, strict=True)), option=OPTIONS) for row in rows])
