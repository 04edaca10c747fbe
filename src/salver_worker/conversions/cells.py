"""One cell of a table as a number: the same rules for CSV, JSON objects and single columns.

Text is a number when Python's `float` reads it (no underscores, no infinity). True and false are 1 and 0. What is
absent, null, empty, or one of the words below is missing. In a column with categories, text is looked up there first.
"""

import math
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.kinds import is_number, refuse_unless
from salver_worker.conversions.names import closest
from salver_worker.conversions.step import Kind, Parameter

MISSING_WORDS = ("", "na", "n/a", "nan", "null", "none")
TRUTH = {"true": 1.0, "false": 0.0}


class CellRules(NamedTuple):
    """How the cells of a table become numbers. `missing` and `unknown` are None when such a cell is refused."""

    missing: Optional[float] = None
    unknown: Optional[float] = None
    categories: Mapping[str, Mapping[str, float]] = {}

    def number(self, value: Any, column: str) -> float:
        """The number of one cell. Raises RowError that names the column."""
        known = self.categories.get(column)
        if known is not None:
            return self._category(_as_text(value), known, column)
        number = _plain_number(value)
        if number is None:
            raise RowError("column %s: %s is not a number" % (column, shortened(value)))
        return self._present(column) if math.isnan(number) else number

    def _category(self, text: str, known: Mapping[str, float], column: str) -> float:
        number = known.get(text)
        if number is not None:
            return float(number)
        if text.lower() in MISSING_WORDS:
            return self._present(column)
        if self.unknown is None:
            names = ", ".join(list(known)[:5]) + (", ..." if len(known) > 5 else "")
            raise RowError("column %s: %s is not one of %s" % (column, shortened(text), names))
        return self.unknown

    def _present(self, column: str) -> float:
        """What stands for a missing cell."""
        if self.missing is None:
            raise RowError("column %s has no value" % column)
        return self.missing


def _as_text(value: Any) -> str:
    """A cell as a category's key is written: whole numbers without a point, true and false in small letters."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def _plain_number(value: Any) -> Optional[float]:
    """The number of a cell; not-a-number when it is missing; None when it is no number."""
    try:
        number = _from_text(value.strip().lower()) if isinstance(value, str) else _from_json(value)
    except (ValueError, OverflowError):
        return None
    return None if number is not None and math.isinf(number) else number


def _from_text(text: str) -> Optional[float]:
    if text in MISSING_WORDS:
        return math.nan
    if text in TRUTH:
        return TRUTH[text]
    return None if "_" in text else float(text)


def _from_json(value: Any) -> Optional[float]:
    if value is None:
        return math.nan
    return float(value) if isinstance(value, (bool, int, float)) else None


def shortened(value: Any) -> str:
    """A caller's value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _read_stand_in(value: Any) -> Optional[float]:
    if value == "error":
        return None
    refuse_unless(value == "nan" or is_number(value))
    return float(value)


def _is_table_of_numbers(value: Any) -> bool:
    return isinstance(value, dict) and len(value) > 0 and all(map(is_number, value.values()))


def _read_categories(value: Any) -> Dict[str, Dict[str, float]]:
    refuse_unless(isinstance(value, dict) and all(map(_is_table_of_numbers, value.values())))
    return dict(value)


STAND_IN = Kind('"error", "nan" or a number', _read_stand_in)
CATEGORIES = Kind("a table of columns, each a table of value = number", _read_categories)

CELL_PARAMETERS: Tuple[Parameter, ...] = (
    Parameter("missing", STAND_IN, "error", "What stands for a missing value; an error refuses the row."),
    Parameter("categories", CATEGORIES, {}, "For columns of text: the number of each value."),
    Parameter("unknown", STAND_IN, "error", "What stands for a value that its categories do not have."),
)


def cell_rules(values: Mapping[str, Any], columns: Optional[Sequence[str]]) -> CellRules:
    """The rules that a step's parameters declare. Raises StepError for categories of a column that is not there."""
    for column in values["categories"]:
        if columns is None:
            raise StepError("categories need columns, which name the values in order", "columns")
        if column not in columns:
            message = "categories name the column %s, which is not one of columns%s"
            raise StepError(message % (column, closest(column, columns)), "categories")
    return CellRules(values["missing"], values["unknown"], values["categories"])


def numbers_of(cells: Sequence[Any], columns: Sequence[str], rules: CellRules) -> List[float]:
    return [rules.number(cells[place], column) for place, column in enumerate(columns)]
