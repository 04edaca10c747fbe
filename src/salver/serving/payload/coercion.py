"""One table of what a value becomes in an input, whatever the format that brought it."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections.abc import Mapping

from salver.serving.payload.moments import Moment


class Source(enum.Enum):
    """What a format holds; the value is the word for it."""

    NULL = "null"
    BOOL = "true or false"
    WHOLE = "a whole number"
    FRACTION = "a number with a fraction"
    DECIMAL = "a decimal number"
    TEXT = "text"
    CELL = "a cell"
    BYTES = "bytes"
    BASE64 = "an object"
    DATE = "a date"
    LIST = "a list"


class Group(enum.Enum):
    """Datatypes that take alike; the value lists them."""

    BOOL = "BOOL"
    WHOLE = "INT8 to INT64, UINT8 to UINT64"
    FRACTION = "FP16, FP32, FP64"
    BYTES = "BYTES"


class Rule(enum.Enum):
    """What happens to a value; the value says it in words."""

    TAKEN = "itself"
    FITTING = "itself; refused when it does not fit"
    ROUNDED = "the nearest value; refused when it is too large"
    UNFRACTIONED = "itself when it is whole and fits; refused else"
    BINARY = "false for 0, true for 1; refused else"
    ONE = "1 for true, 0 for false"
    TRUTH = "`true` or `false` in any letters, 1 or 0; empty and `NA` as null; refused else"
    READ_WHOLE = "read as a whole number, `true` as 1; a date as a date; empty and `NA` as null; refused else"
    READ_FRACTION = "read as a number, `true` as 1; empty and `NA` as null; refused else"
    UTF8 = "its UTF-8"
    DECODED = 'the bytes of `{"b64": "..."}`; other objects are refused'
    ISO = "its text in ISO 8601"
    EPOCH = "with `dates=UNIT` the number of units since 1970; refused else"
    EPOCH_OF_TEXT = "with `dates=UNIT` the number that ISO 8601 text stands for; refused else"
    MISSING = "with `missing=nan` NaN; refused else"
    REFUSED = "refused"


TABLE: Mapping[Source, Mapping[Group, Rule]] = {
    source: dict(zip(Group, rules, strict=True))
    for source, rules in {
        Source.NULL: (Rule.REFUSED, Rule.REFUSED, Rule.MISSING, Rule.REFUSED),
        Source.BOOL: (Rule.TAKEN, Rule.ONE, Rule.ONE, Rule.REFUSED),
        Source.WHOLE: (Rule.BINARY, Rule.FITTING, Rule.ROUNDED, Rule.REFUSED),
        Source.FRACTION: (Rule.BINARY, Rule.UNFRACTIONED, Rule.ROUNDED, Rule.REFUSED),
        Source.DECIMAL: (Rule.BINARY, Rule.UNFRACTIONED, Rule.ROUNDED, Rule.REFUSED),
        Source.TEXT: (Rule.REFUSED, Rule.EPOCH_OF_TEXT, Rule.REFUSED, Rule.UTF8),
        Source.CELL: (Rule.TRUTH, Rule.READ_WHOLE, Rule.READ_FRACTION, Rule.UTF8),
        Source.BYTES: (Rule.REFUSED, Rule.REFUSED, Rule.REFUSED, Rule.TAKEN),
        Source.BASE64: (Rule.REFUSED, Rule.REFUSED, Rule.REFUSED, Rule.DECODED),
        Source.DATE: (Rule.REFUSED, Rule.EPOCH, Rule.REFUSED, Rule.ISO),
        Source.LIST: (Rule.REFUSED, Rule.REFUSED, Rule.REFUSED, Rule.REFUSED),
    }.items()
}


class Cell(str):
    """What stands between two delimiters: text that may mean something else."""

    __slots__ = ()


SOURCES: Mapping[type, Source] = {
    type(None): Source.NULL,
    bool: Source.BOOL,
    int: Source.WHOLE,
    float: Source.FRACTION,
    decimal.Decimal: Source.DECIMAL,
    str: Source.TEXT,
    Cell: Source.CELL,
    bytes: Source.BYTES,
    dict: Source.BASE64,
    list: Source.LIST,
    Moment: Source.DATE,
    dt.datetime: Source.DATE,
}
"""What Python's own values are."""

ARRAY_SOURCES: Mapping[str, Source] = {"b": Source.BOOL, "i": Source.WHOLE, "u": Source.WHOLE, "f": Source.FRACTION}
"""What an array holds, by NumPy's letter for its kind."""

GROUPS: Mapping[str, Group] = {"b": Group.BOOL, "i": Group.WHOLE, "u": Group.WHOLE, "f": Group.FRACTION}
"""How an input's datatype takes, by NumPy's letter for its kind."""

FOUND_IN: Mapping[Source, str] = {
    Source.NULL: "JSON and msgpack `null`; a null of Arrow and Parquet; a key that a record leaves out; "
    "a cell that is empty, `NA`, `N/A`, `NaN`, `null` or `none`, where no text is wanted",
    Source.BOOL: "JSON and msgpack `true`, `false`; NumPy `bool`; Arrow `bool`; pandas `bool`, `boolean`",
    Source.WHOLE: "a JSON number without `.` and `e`; msgpack `int`; NumPy, Arrow and pandas `int8` to `uint64`",
    Source.FRACTION: "other JSON numbers; msgpack `float`; NumPy, Arrow and pandas `float16` to `float64`",
    Source.DECIMAL: "Arrow and Parquet `decimal`",
    Source.TEXT: "JSON and msgpack strings; Arrow `string`; pandas `str`, `object`; categories of text",
    Source.CELL: "CSV",
    Source.BYTES: "msgpack `bin`; Arrow `binary`; files: images, audio, any other",
    Source.BASE64: "a JSON or msgpack object in the place of a value",
    Source.DATE: "Arrow `timestamp`, `date32`, `date64`; pandas `datetime64`; msgpack's timestamp",
    Source.LIST: "a list that is deeper than the input has dimensions",
}
