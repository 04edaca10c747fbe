"""csv and json_columns: rows of text become a matrix of numbers."""

import csv
import io
import json
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from salver_worker.conversions.cells import CELL_PARAMETERS, CellRules, cell_rules, numbers_of
from salver_worker.conversions.each_row import decoded, each_row
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.kinds import FLAG, NAMES, kind
from salver_worker.conversions.step import INPUT, ONE_TEXT, REQUIRED, Bound, Given, Parameter, Step

DELIMITER = kind(
    "one character, not a quote or a line end",
    lambda value: isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0',
)


def _matrix(given: Given, read: Callable[[bytes], List[float]], width: int) -> Bound:
    def convert(texts: Array) -> Array:
        rows = each_row(read, texts)
        count = len(rows[0]) if width == -1 and rows else max(width, 0)
        for row, numbers in enumerate(rows):
            if len(numbers) != count:
                raise RowError("the line has %d values but the first one has %d" % (len(numbers), count), row)
        return np.array(rows, dtype=np.float64).reshape(len(rows), count)

    return Bound(Flow("FP64", (given.flow.shape[0], width)), convert)


def _bind_csv(given: Given) -> Bound:
    values, columns = given.values, given.values["columns"]
    if values["header"] and columns is None:
        raise StepError("header = true needs columns, in the order of the model", "columns")
    rules = cell_rules(values, columns)

    def read(raw: bytes) -> List[float]:
        lines = _csv_lines(decoded(raw), values["delimiter"])
        if values["header"]:
            return _by_header(lines, columns, rules)
        return _by_place(_only(lines, 1)[0], columns, rules)

    return _matrix(given, read, -1 if columns is None else len(columns))


def _csv_lines(text: str, delimiter: str) -> List[List[str]]:
    try:
        return [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if line]
    except csv.Error as error:
        raise RowError("the text is not CSV: %s" % error) from error


def _only(lines: List[List[str]], count: int) -> List[List[str]]:
    if len(lines) != count:
        wanted = "one line" if count == 1 else "a header line and one line of values"
        raise RowError(
            "there are %d lines where %s should be; send each line as a row of its own" % (len(lines), wanted)
        )
    return lines


def _by_place(cells: List[str], columns: Optional[Sequence[str]], rules: CellRules) -> List[float]:
    names = [str(place) for place in range(len(cells))] if columns is None else columns
    if len(cells) != len(names):
        raise RowError("the line has %d values but there are %d columns" % (len(cells), len(names)))
    return numbers_of(cells, names, rules)


def _by_header(lines: List[List[str]], columns: Sequence[str], rules: CellRules) -> List[float]:
    header, cells = _only(lines, 2)
    if len(cells) != len(header):
        raise RowError("the line has %d values but the header has %d names" % (len(cells), len(header)))
    names = [name.strip() for name in header]
    return numbers_of([cells[_place(names, column)] for column in columns], columns, rules)


def _place(names: List[str], column: str) -> int:
    if names.count(column) != 1:
        raise RowError("the header has the column %s %d times" % (column, names.count(column)))
    return names.index(column)


def _bind_json_columns(given: Given) -> Bound:
    columns = given.values["columns"]
    rules = cell_rules(given.values, columns)

    def read(raw: bytes) -> List[float]:
        table = _json_object(decoded(raw))
        return numbers_of([table.get(column) for column in columns], columns, rules)

    return _matrix(given, read, len(columns))


def _json_object(text: str) -> Dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RowError("the text is not JSON") from error
    if not isinstance(document, dict):
        raise RowError("the JSON must be an object with a value for each column")
    return document


STEPS = (
    Step(
        name="csv",
        stages=(INPUT,),
        takes=ONE_TEXT,
        summary="One line of comma-separated values for each row becomes a row of numbers (FP64).",
        parameters=(
            Parameter("columns", NAMES, None, "The columns in the order of the model.", "as sent"),
            Parameter("header", FLAG, False, "Each row is two lines, the first with the names of the columns."),
            Parameter("delimiter", DELIMITER, ",", "What stands between two values."),
            *CELL_PARAMETERS,
        ),
        main="columns",
        bind=_bind_csv,
    ),
    Step(
        name="json_columns",
        stages=(INPUT,),
        takes=ONE_TEXT,
        summary="One JSON object for each row becomes a row of numbers (FP64). Other keys of the object are left out.",
        parameters=(
            Parameter("columns", NAMES, REQUIRED, "The columns in the order of the model."),
            *CELL_PARAMETERS,
        ),
        main="columns",
        bind=_bind_json_columns,
    ),
)
