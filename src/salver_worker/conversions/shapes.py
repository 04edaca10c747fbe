"""Steps on shapes, rows untouched: flatten, reshape, select."""

from typing import Any, Tuple, Union

import numpy as np

from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.kinds import is_list_of, is_name, is_whole, kind, refuse_unless
from salver_worker.conversions.labels import LABELS, read_labels
from salver_worker.conversions.step import ANYTHING, BOTH, NUMBERS, REQUIRED, Bound, Given, Kind, Parameter, Step


def _count(sizes: Tuple[int, ...]) -> int:
    """How many values sizes make; -1 when one of them is not known."""
    return -1 if -1 in sizes else int(np.prod(sizes, dtype=np.int64))


def _reshaped(flow: Flow, row: Tuple[int, ...]) -> Flow:
    return Flow(flow.datatype, (flow.shape[0], *row))


def _need_rows(flow: Flow) -> None:
    if not flow.shape:
        raise StepError("needs a row dimension but gets %s" % str(flow))


def _bind_flatten(given: Given) -> Bound:
    _need_rows(given.flow)
    flow = _reshaped(given.flow, (_count(given.flow.shape[1:]),))
    return Bound(flow, lambda array: array.reshape(array.shape[0], _count(array.shape[1:])))


def _bind_reshape(given: Given) -> Bound:
    _need_rows(given.flow)
    row = _worked_out(given.values["shape"], _count(given.flow.shape[1:]))

    def reshape(array: Array) -> Array:
        try:
            return array.reshape(array.shape[0], *_worked_out(row, _count(array.shape[1:])))
        except StepError as error:
            raise RowError(error.message) from error

    return Bound(_reshaped(given.flow, row), reshape)


def _worked_out(row: Tuple[int, ...], have: int) -> Tuple[int, ...]:
    """A row's shape with its -1 replaced, when it is known that a row has `have` values. Raises StepError."""
    if have == -1:
        return row
    rest = _count(tuple(size for size in row if size != -1))
    if rest != have if -1 not in row else have % rest != 0:
        raise StepError("a row has %d values, which do not make %s" % (have, list(row)), "shape")
    return tuple(have // rest if size == -1 else size for size in row)


def _bind_select(given: Given) -> Bound:
    flow = given.flow
    if not flow.shape:
        raise StepError("needs at least one dimension but gets %s" % str(flow))
    index = _index(given)
    parameter = "index" if given.values["index"] is not None else "name"
    highest = index if isinstance(index, int) else max(index)
    if 0 <= flow.shape[-1] <= highest:
        raise StepError("place %d does not exist: the last dimension has %d" % (highest, flow.shape[-1]), parameter)
    shape = flow.shape[:-1] if isinstance(index, int) else (*flow.shape[:-1], len(index))
    places = index if isinstance(index, int) else list(index)

    def select(array: Array) -> Array:
        if array.shape[-1] <= highest:
            raise RowError("place %d does not exist: the last dimension has %d" % (highest, array.shape[-1]))
        return array[..., places]

    return Bound(Flow(flow.datatype, shape), select)


def _index(given: Given) -> Union[int, Tuple[int, ...]]:
    """The places to take, from `index`, or from `name` and `labels`."""
    index: Union[int, Tuple[int, ...], None] = given.values["index"]
    name, labels = given.values["name"], given.values["labels"]
    if (index is None) == (name is None):
        raise StepError("needs either index or name")
    if index is not None:
        return index
    if labels is None:
        raise StepError("needs labels to know where a name stands", "name")
    known = read_labels(given.folder, labels)
    return known.number_of(name) if isinstance(name, str) else tuple(map(known.number_of, name))


def _is_size(value: Any) -> bool:
    return is_whole(value) and (value == -1 or value > 0)


def _read_row_shape(value: Any) -> Tuple[int, ...]:
    refuse_unless(value == [] or is_list_of(_is_size, value))
    refuse_unless(value.count(-1) < 2, "can have one -1 only")
    return tuple(value)


def _is_place(value: Any) -> bool:
    return is_whole(value) and value >= 0


def _read_index(value: Any) -> Union[int, Tuple[int, ...]]:
    refuse_unless(_is_place(value) or is_list_of(_is_place, value))
    return tuple(value) if isinstance(value, list) else int(value)


ROW_SHAPE = Kind("a list of positive integers, one of which may be -1", _read_row_shape)
INDEX = Kind("a whole number from 0, or a list of them", _read_index)
ONE_OR_MORE_NAMES = kind("a name, or a list of names", lambda value: is_name(value) or is_list_of(is_name, value))

STEPS = (
    Step(
        name="flatten",
        stages=BOTH,
        takes=ANYTHING,
        summary="Each row becomes one line of values.",
        bind=_bind_flatten,
    ),
    Step(
        name="reshape",
        stages=BOTH,
        takes=ANYTHING,
        summary="Each row takes another shape, its values in the same order.",
        parameters=(Parameter("shape", ROW_SHAPE, REQUIRED, "The shape of one row; [] for a single value."),),
        main="shape",
        bind=_bind_reshape,
    ),
    Step(
        name="select",
        stages=BOTH,
        takes=NUMBERS,
        summary="Some places of the last dimension, by number or by name. One place alone takes the dimension away.",
        parameters=(
            Parameter("index", INDEX, None, "The places, counted from 0.", "by name"),
            Parameter("name", ONE_OR_MORE_NAMES, None, "The names of the places.", "by index"),
            Parameter("labels", LABELS, None, "Where the names stand.", "none"),
        ),
        main="index",
        bind=_bind_select,
    ),
)
