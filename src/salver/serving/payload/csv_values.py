"""CSV as RFC 4180 has it: lines of cells, with a line of headings or without one."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from salver.errors import Code, RequestError
from salver.serving.payload.coercion import Cell
from salver.serving.payload.columns import Column, columns_to_inputs
from salver.serving.payload.leaves import NOTHING, WORDS
from salver.serving.payload.policy import STRICT, Policy
from salver.types import Signature, Tensor, TensorSpec

PARAMETER = re.compile(r';\s*(header|delimiter)\s*=\s*("[^"]*"|[^;]*)', re.IGNORECASE)
FIX = "Send lines with as many cells each; name the form in the content type: `text/csv; header=present`."
DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
HEADERS = {"": None, "present": True, "absent": False}


class Dialect:
    """What the parameters of the content type say."""

    def __init__(self, content_type: str) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        given = {
            name.lower(): value.removeprefix('"').removesuffix('"') for name, value in PARAMETER.findall(content_type)
        }
        header = given.get("header", "").strip().lower()
        if header not in HEADERS:
            raise _invalid(f"header={header[:32]} is neither present nor absent")
        named = given.get("delimiter", ",")
        delimiter = DELIMITERS.get(named.strip().lower(), named)
        if len(delimiter) != 1 or delimiter in '"\r\n\0':
            raise _invalid(f"delimiter={named[:32]} is not one character that can stand between cells")
        self.has_header = HEADERS[header]
        """None: it shows."""
        self.delimiter = delimiter
        self.is_declared = bool(given)


def csv_to_tensor(raw: bytes, spec: TensorSpec, content_type: str = "", policy: Policy = STRICT) -> Tensor:
    """One input alone. Raises RequestError(INVALID_INPUT)."""
    columns = csv_to_columns(raw, Signature(inputs=(spec,), outputs=()), content_type)
    return columns_to_inputs(columns, Signature(inputs=(spec,), outputs=()), policy)[spec.name]


def csv_to_columns(raw: bytes, signature: Signature, content_type: str) -> list[Column]:
    """The columns with their headings, or numbered. Empty lines do not count. Raises RequestError(INVALID_INPUT)."""
    dialect = Dialect(content_type)
    lines = _lines(raw, dialect.delimiter)
    has_header = dialect.has_header
    if has_header is None:
        has_header = looks_like_header(lines[0], signature)
    if not has_header:
        names = names_without_header(len(lines[0]), signature)
        return _columns(names, lines, 1)
    if len(lines) < 2:
        raise _invalid("it has a line of headings and no other")
    return _columns([name.strip() for name in lines[0]], lines[1:], 2)


def looks_like_header(cells: Sequence[str], signature: Signature) -> bool:
    """Whether the first line holds the names of inputs or columns, or no number at all where numbers go."""
    names = {cell.strip() for cell in cells}
    if names == {spec.name for spec in signature.inputs} or names in [set(spec.columns) for spec in signature.inputs]:
        return True
    takes_text = any(spec.datatype == "BYTES" for spec in signature.inputs)
    return not takes_text and not any(_is_value(cell) for cell in cells)


def _is_value(cell: str) -> bool:
    word = cell.strip().lower()
    if word in NOTHING or word in WORDS or word[:1].isdigit():
        return True
    try:
        float(word)
    except ValueError:
        return False
    return True


def names_without_header(count: int, signature: Signature) -> list[str]:
    """The names that columns without headings have, by their order."""
    declared: Sequence[str] = [spec.name for spec in signature.inputs]
    if len(signature.inputs) == 1:
        declared = signature.inputs[0].columns
    return list(declared) if len(declared) == count else [str(number) for number in range(count)]


def _lines(raw: bytes, delimiter: str) -> list[list[str]]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid("it is not text in UTF-8") from error
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [cells for cells in reader if cells]
    except csv.Error as error:
        raise _invalid(
            str(error).replace("field larger than field limit", "a cell is longer than the limit")
        ) from error
    if not lines:
        raise _invalid("it has no lines")
    return lines


def _columns(names: list[str], lines: list[list[str]], first: int) -> list[Column]:
    width = len(names)
    for number, cells in enumerate(lines, first):
        if len(cells) != width:
            raise _invalid(f"it has {len(cells)} cells in line {number} and {width} in line 1")
    return [
        Column(name, list(map(Cell, values)), (len(lines),), None, "line", first)
        for name, values in zip(names, zip(*lines, strict=True), strict=True)
    ]


def _invalid(reason: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, f"The CSV cannot be read: {reason}.", fix=FIX)
