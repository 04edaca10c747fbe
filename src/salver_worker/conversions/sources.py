"""accept and columns: first steps that say what callers send, where it is not what the model takes."""

from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from salver_worker.conversions.cells import CellRules
from salver_worker.conversions.each_row import decoded, each_row
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import DATATYPES, Array, Flow, numpy_type
from salver_worker.conversions.kinds import choice, is_list_of, is_name, is_number, is_whole, refuse_unless
from salver_worker.conversions.step import ANYTHING, INPUT, REQUIRED, Kind, Parameter, Source, Step

CHANNEL_AXES = {"NHWC": 3, "NCHW": 1}


def _accept(name: str, values: Mapping[str, Any]) -> Source:
    shape, layout = values["shape"], values["layout"]
    if layout is not None and len(shape) != 4:
        raise StepError("layout needs a shape with 4 dimensions, but shape has %d" % len(shape), "layout")
    flow = Flow(values["datatype"], shape, channel_axis=CHANNEL_AXES.get(layout), colours="RGB" if layout else "")
    return Source({name: flow}, flow, lambda arrays: arrays[name])


class Column(NamedTuple):
    """One input of one value per row. With `categories` callers send text, and its number is taken."""

    name: str
    datatype: str
    categories: Mapping[str, float]

    @property
    def gives(self) -> str:
        return "FP64" if self.categories else self.datatype

    def numbers(self, array: Array) -> Array:
        """The column's numbers. Raises RowError for text that the categories do not have."""
        if not self.categories:
            return array
        rules = CellRules(categories={self.name: self.categories})
        return np.array(each_row(lambda raw: rules.number(decoded(raw), self.name), array), dtype=np.float64)


def _columns(_name: str, values: Mapping[str, Any]) -> Source:
    columns: Tuple[Column, ...] = values["columns"]
    gives = {column.gives for column in columns}
    datatype = gives.pop() if len(gives) == 1 else "FP64"

    def gather(arrays: Mapping[str, Array]) -> Array:
        rows = len(arrays[columns[0].name])
        matrix = np.empty((rows, len(columns)), dtype=numpy_type(datatype))
        for place, column in enumerate(columns):
            numbers = column.numbers(arrays[column.name])
            if len(numbers) != rows:
                told = (column.name, len(numbers), columns[0].name, rows)
                raise RowError("%s has %d rows but %s has %d" % told)
            matrix[:, place] = numbers
        return matrix

    inputs = {column.name: Flow(column.datatype, (-1,)) for column in columns}
    return Source(inputs, Flow(datatype, (-1, len(columns))), gather)


def _is_size(value: Any) -> bool:
    return is_whole(value) and (value == -1 or value > 0)


def _read_shape(value: Any) -> Tuple[int, ...]:
    refuse_unless(is_list_of(_is_size, value))
    return tuple(value)


def _read_columns(value: Any) -> Tuple[Column, ...]:
    refuse_unless(isinstance(value, list) and len(value) > 0)
    columns = tuple(map(_read_column, value))
    refuse_unless(len({column.name for column in columns}) == len(columns), "has the same name twice")
    return columns


def _read_column(value: Any) -> Column:
    table: Dict[str, Any] = {"name": value} if isinstance(value, str) else value
    refuse_unless(isinstance(table, dict) and set(table) <= {"name", "datatype", "categories"})
    name, categories = table.get("name"), table.get("categories", {})
    datatype = table.get("datatype", "BYTES" if categories else "FP64")
    refuse_unless(is_name(name) and isinstance(categories, dict) and all(map(is_number, categories.values())))
    refuse_unless(datatype in DATATYPES or datatype == "BYTES")
    if (datatype == "BYTES") != bool(categories):
        raise ValueError(
            "has the column %s, which must have categories when its datatype is BYTES, and only then" % name
        )
    return Column(str(name), str(datatype), categories)


SHAPE = Kind("a list of positive integers, rows first; -1 where the size is free", _read_shape)
COLUMNS = Kind("a list of names, or of tables with name, datatype and categories", _read_columns)
_INPUT_DATATYPES: List[str] = [*DATATYPES, "BYTES"]

STEPS = (
    Step(
        name="accept",
        stages=(INPUT,),
        takes=ANYTHING,
        summary="Says what callers send: a tensor of this datatype and shape.",
        parameters=(
            Parameter("datatype", choice(*_INPUT_DATATYPES), REQUIRED, "The datatype of callers' tensors."),
            Parameter("shape", SHAPE, REQUIRED, "Their shape."),
            Parameter(
                "layout",
                choice(*CHANNEL_AXES),
                None,
                "Where the channels stand, when they are RGB images.",
                "no images",
            ),
        ),
        source=_accept,
    ),
    Step(
        name="columns",
        stages=(INPUT,),
        takes=ANYTHING,
        summary="Callers send one input for each column, one value for each row; together they are the row's input.",
        parameters=(
            Parameter(
                "columns",
                COLUMNS,
                REQUIRED,
                "The columns in the order of the model. A name alone is FP64; a table may give a datatype, or "
                "categories (a table of text = number) for a column of text.",
            ),
        ),
        main="columns",
        source=_columns,
    ),
)
