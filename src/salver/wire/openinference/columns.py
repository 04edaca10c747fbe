"""Requests of the content type `pd`: each input is a column, for models that take one table of numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from salver.types import TensorSpec
from salver.wire.openinference.document import InferDocument, InputDocument
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.values import flat

TABLE = "pd"


def one_table(document: InferDocument, specs: Mapping[str, TensorSpec]) -> list[InputDocument]:
    """The inputs of a request, its columns side by side where the model has no inputs of their names, but one table.

    Raises RequestError(INVALID_INPUT) when columns have not as many values as each other.
    """
    given = document.inputs
    if (document.parameters or {}).get("content_type") != TABLE or len(specs) != 1:
        return given
    (spec,) = specs.values()
    is_table = len(spec.shape) == 2 and spec.datatype != "BYTES"
    if not is_table or any(item.name == spec.name or item.data is UNSET for item in given):
        return given
    columns = [flat(item.data) for item in given if item.data is not UNSET]
    rows = len(columns[0]) if columns else 0
    for item, column in zip(given, columns, strict=True):
        if len(column) != rows:
            raise invalid(f"the column '{shown(item.name)}' has {len(column)} values, the first one has {rows}")
    values = [list(row) for row in zip(*columns, strict=True)]
    return [InputDocument(spec.name, spec.datatype, [rows, len(columns)], None, values)]
