"""The columns that a formula of statsmodels is fed with: their names, and whether they are numbers, truths or text."""

from __future__ import annotations

import importlib
import re
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np

from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.texts import texts

_QUOTED = re.compile(r"""\bQ\(\s*(["'])(.*?)\1\s*\)""")
_TEXT = re.compile(r"""(["']).*?\1""")
_NAME = re.compile(r"(?<![\w.])([^\W\d]\w*)(?!\w|\s*[(.])(?!\s*=[^=])")


class Columns(NamedTuple):
    """The inputs of the signature, how their arrays become the model's argument, and such an argument of one row."""

    inputs: List[Dict[str, Any]]
    table: Callable[[Arrays], Any]
    sample: Callable[[], Any]


def formula_columns(results: Any) -> Optional[Columns]:
    """None when the model was not made of a formula."""
    formula = getattr(results.model, "formula", None)
    if not isinstance(formula, str):
        return None
    pandas: Any = importlib.import_module("pandas")
    frame = getattr(results.model.data, "frame", None)
    names = formula_names(formula)
    if frame is not None:
        names = tuple(name for name in names if name in frame.columns)
    datatypes = _datatypes(results, frame, names)

    def table(inputs: Arrays) -> Any:
        return pandas.DataFrame(
            {name: texts(name, inputs[name]) if datatypes[name] == "BYTES" else inputs[name] for name in names}
        )

    def sample() -> Any:
        if frame is not None:
            return frame[list(names)].head(1)
        return pandas.DataFrame({name: [_VALUES[datatypes[name]]] for name in names})

    return Columns([tensor(name, datatypes[name], (-1,)) for name in names], table, sample)


_VALUES = {"BYTES": "", "BOOL": False, "FP64": 0.0}


def formula_names(formula: str) -> Tuple[str, ...]:
    """The names on a formula's right side that are no functions, modules or keywords, in their order.

    >>> formula_names("y ~ np.log(a) + C(g, Treatment(reference='u')):a + Q('of two')")
    ('a', 'g', 'of two')
    """
    right = formula.rpartition("~")[2]
    quoted = [found[2] for found in _QUOTED.finditer(right)]
    plain = [found[1] for found in _NAME.finditer(_TEXT.sub("", _QUOTED.sub("", right)))]
    return tuple(dict.fromkeys((*plain, *quoted)))


def _datatypes(results: Any, frame: Any, names: Tuple[str, ...]) -> Dict[str, str]:
    if frame is not None:
        return {name: _datatype(getattr(frame[name].dtype, "kind", "O")) for name in names}
    known = dict(_categories(results))
    return {name: known.get(name, "FP64") for name in names}


def _categories(results: Any) -> Iterator[Tuple[str, str]]:
    """Of results that were saved without their data: the datatypes that the formula's factors remember."""
    design = getattr(results.model.data, "design_info", None)
    for factor, info in getattr(design, "factor_infos", {}).items():
        if getattr(info, "categories", None):
            for name in formula_names(factor.name()):
                yield name, _datatype(np.asarray(info.categories).dtype.kind)


def _datatype(kind: str) -> str:
    """A category that is a number is sent as one."""
    return "BOOL" if kind == "b" else "FP64" if kind in "iuf" else "BYTES"
