"""Categories as pandas had them when a LightGBM booster was trained, and the numbers that the booster knows them by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, NamedTuple, Sequence

import numpy as np

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.texts import texts

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
_CODES = re.compile(r"-?\d+(:-?\d+)*")


class Columns(NamedTuple):
    """The inputs of the signature, and how their arrays become the booster's table."""

    inputs: List[Dict[str, Any]]
    table: Callable[[Arrays], Array]


def categorical_columns(booster: Any, header: Mapping[str, str]) -> Columns:
    """A plain table; one whose categories are numbers; or, where categories are texts, one input for each column."""
    names: List[str] = booster.feature_name()
    categories: List[List[Any]] = booster.pandas_categorical or []
    if not categories:
        return Columns([tensor(ONLY_INPUT, "FP64", (-1, len(names)))], lambda inputs: inputs[ONLY_INPUT])
    places = _places(header, len(categories))
    if not any(isinstance(each, str) for known in categories for each in known):
        return _numbers(len(names), dict(zip(places, categories)))
    return _texts(names, dict(zip(places, categories)))


def _places(header: Mapping[str, str], count: int) -> Sequence[int]:
    """Which features are categories: as the parameters of the training say, else as the features' ranges show."""
    said = [int(each) for each in header.get("categorical_feature", "").split(",") if each.strip().isdigit()]
    infos = header.get("feature_infos", "").split(" ")
    shown = [place for place, info in enumerate(infos) if _CODES.fullmatch(info)]
    for places in (said, shown):
        if len(places) == count:
            return sorted(places)
    raise LoadFailure(
        "the file has %d lists of categories and does not tell to which features they belong" % count,
        fix="Serve the booster from a Python file that turns categories into numbers.",
    )


def _numbers(count: int, categories: Mapping[int, Sequence[float]]) -> Columns:
    coders = {place: _number_coder(known) for place, known in categories.items()}

    def table(inputs: Arrays) -> Array:
        codes = inputs[ONLY_INPUT].copy()
        for place, code in coders.items():
            codes[:, place] = code(codes[:, place])
        return codes

    return Columns([tensor(ONLY_INPUT, "FP64", (-1, count))], table)


def _texts(names: Sequence[str], categories: Mapping[int, Sequence[Any]]) -> Columns:
    is_text = {place: any(isinstance(each, str) for each in known) for place, known in categories.items()}
    coders = {place: _number_coder(known) for place, known in categories.items() if not is_text[place]}
    codes = {
        place: {str(each): float(code) for code, each in enumerate(known)}
        for place, known in categories.items()
        if is_text[place]
    }

    def table(inputs: Arrays) -> Array:
        rows = np.empty((len(inputs[names[0]]), len(names)))
        for place, name in enumerate(names):
            column = inputs[name]
            if place in codes:
                known = codes[place]
                rows[:, place] = [known.get(text, np.nan) for text in texts(name, column)]
            else:
                rows[:, place] = coders[place](column) if place in coders else column
        return rows

    return Columns(
        [tensor(name, "BYTES" if is_text.get(at) else "FP64", (-1,)) for at, name in enumerate(names)], table
    )


def _number_coder(known: Sequence[float]) -> Callable[[Array], Array]:
    values = np.asarray(known, float)
    order = np.argsort(values)
    ordered = values[order]

    def code(column: Array) -> Array:
        places = np.clip(np.searchsorted(ordered, column), 0, len(ordered) - 1)
        return np.where(ordered[places] == column, order[places].astype(float), np.nan)

    return code
