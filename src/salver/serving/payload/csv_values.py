"""Lines of numbers become rows."""

from __future__ import annotations

import math
from collections.abc import Callable

from salver.serving.payload.values import numbers, refused, row_shape, shape_of_rows
from salver.types import Tensor, TensorSpec

Cell = Callable[[str], int | float]


def csv_to_tensor(raw: bytes, spec: TensorSpec) -> Tensor:
    """One row per line, its numbers between commas, in row-major order; empty lines do not count."""
    try:
        lines = [line for line in raw.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise refused(spec, "is not text in UTF-8") from error
    if not lines:
        raise refused(spec, "has no lines")
    leaves: list[int | float] = []
    columns = lines[0].count(",") + 1
    row = _row_of(columns, spec)
    number: Cell = int if "INT" in spec.datatype else float
    for at, line in enumerate(lines, 1):
        cells = line.split(",")
        if len(cells) != columns:
            raise refused(spec, f"has {len(cells)} numbers in line {at} and {columns} in line 1")
        leaves.extend([_number(cell, number, at, spec) for cell in cells])
    shape = shape_of_rows(spec, len(lines), row)
    return Tensor(spec.datatype, shape, numbers(leaves, spec).reshape(shape))


def _row_of(columns: int, spec: TensorSpec) -> tuple[int, ...]:
    row = row_shape(spec)
    if row == (-1,):
        return (columns,)
    if -1 in row:
        raise refused(
            spec, f"has rows of the free shape {list(row)}, which lines cannot show", fix="Send JSON or .npy."
        )
    if math.prod(row) != columns:
        raise refused(spec, f"takes {math.prod(row)} numbers in a row; line 1 has {columns}")
    return row


def _number(cell: str, number: Cell, line: int, spec: TensorSpec) -> int | float:
    try:
        if "_" in cell:
            raise ValueError("Python reads underscores as part of a number; CSV does not")
        return number(cell)
    except ValueError as error:
        wanted = "a whole number" if number is int else "a number"
        raise refused(
            spec,
            f"has '{cell.strip()[:32]}' in line {line}, which is not {wanted}",
            fix="Send numbers alone, without a line of headings.",
        ) from error
