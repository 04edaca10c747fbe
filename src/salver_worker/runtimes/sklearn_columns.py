"""What a fitted estimator wants to be fed, as its attributes tell it."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import numpy as np

from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.texts import texts

ONLY_INPUT = "x"


class Features(NamedTuple):
    """The inputs of the signature, and how their arrays become the estimator's argument."""

    inputs: List[Dict[str, Any]]
    table: Callable[[Arrays], Any]

    def sample(self) -> Optional[Arrays]:
        """One row of zeros; None where a dimension is not known or text is wanted."""
        if any(row["datatype"] == "BYTES" or -1 in row["shape"][1:] for row in self.inputs):
            return None
        return {row["name"]: np.zeros([1, *row["shape"][1:]]) for row in self.inputs}


def read_features(estimator: Any) -> Features:
    """One of four: texts, one input for each column, a table with named columns, a table without names."""
    if _takes_text(estimator):
        return Features([tensor(ONLY_INPUT, "BYTES", (-1,))], lambda inputs: texts(ONLY_INPUT, inputs[ONLY_INPUT]))
    names = getattr(estimator, "feature_names_in_", None)
    has_pandas = importlib.util.find_spec("pandas") is not None
    if names is not None and has_pandas:
        columns = [str(name) for name in names]
        text = set(_text_columns(estimator, columns))
        return _by_column(columns, text) if text else _named_table(columns)
    count = getattr(estimator, "n_features_in_", -1)
    known = [] if names is None else [str(name) for name in names]
    return Features([tensor(ONLY_INPUT, "FP64", (-1, count), known)], lambda inputs: inputs[ONLY_INPUT])


def _named_table(columns: Sequence[str]) -> Features:
    def table(inputs: Arrays) -> Any:
        pandas: Any = importlib.import_module("pandas")
        return pandas.DataFrame(inputs[ONLY_INPUT], columns=list(columns))

    return Features([tensor(ONLY_INPUT, "FP64", (-1, len(columns)), columns)], table)


def _by_column(columns: Sequence[str], text: Set[str]) -> Features:
    def table(inputs: Arrays) -> Any:
        pandas: Any = importlib.import_module("pandas")
        return pandas.DataFrame({name: texts(name, inputs[name]) if name in text else inputs[name] for name in columns})

    return Features([tensor(name, "BYTES" if name in text else "FP64", (-1,)) for name in columns], table)


def _takes_text(estimator: Any) -> bool:
    """Whether the first step turns texts into numbers."""
    from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer

    return isinstance(_first_step(estimator), (CountVectorizer, HashingVectorizer))


def _first_step(estimator: Any) -> Any:
    steps = getattr(estimator, "steps", None)
    return _first_step(steps[0][1]) if steps else estimator


def _text_columns(estimator: Any, columns: Sequence[str]) -> Iterator[str]:
    """The columns that a ColumnTransformer at the front hands to a vectorizer, or to an encoder of text categories."""
    for _name, transformer, chosen in getattr(_first_step(estimator), "transformers_", ()):
        if _takes_text(transformer):
            yield str(chosen)
            continue
        categories = getattr(_first_step(transformer), "categories_", ())
        for column, known in zip(_column_names(chosen, columns), categories):
            if known.dtype.kind in "OSU":
                yield column


def _column_names(chosen: Any, columns: Sequence[str]) -> Tuple[str, ...]:
    """A transformer's columns by name, whether it was given names, positions or a mask."""
    if isinstance(chosen, (str, int)):
        chosen = [chosen]
    if isinstance(chosen, slice):
        return tuple(columns[chosen])
    items = list(chosen)
    if items and all(isinstance(item, (bool, np.bool_)) for item in items):
        return tuple(name for name, is_chosen in zip(columns, items) if is_chosen)
    return tuple(item if isinstance(item, str) else columns[int(item)] for item in items)
