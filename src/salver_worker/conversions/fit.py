"""The end of an input's chain: what the steps give must be what the model takes."""

from typing import Any, Callable, List, NamedTuple, Tuple

import numpy as np

from salver_worker.conversions.casting import cast, needs_no_step
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow, shape_fits
from salver_worker.conversions.needs import meet_need
from salver_worker.conversions.step import ANYTHING


class Fit(NamedTuple):
    """How a chain meets the model. `rows` is the only number of rows that the model takes, -1 when any will do."""

    rows: int
    functions: Tuple[Callable[[Any], Any], ...]


def fit(flow: Flow, target: Flow, model_input: str) -> Fit:
    """Bind the end of a chain to the model's input. Raises StepError that tells both sides."""
    given, functions = meet_need(ANYTHING, flow)
    is_without_rows = len(given.shape) == len(target.shape) + 1
    shape = given.shape[1:] if is_without_rows else given.shape
    if not (shape_fits(shape, target.shape) and needs_no_step(given, target)):
        message = "the steps give %s but the model's input %s takes %s" % (given, model_input, target)
        raise StepError(message, fix=_advice(given._replace(shape=shape), target))
    last = _last(target, model_input)
    if is_without_rows:
        return Fit(1, (*functions, _only_row, last))
    return Fit(target.shape[0] if target.shape else -1, (*functions, last))


def _last(target: Flow, model_input: str) -> Callable[[Array], Array]:
    """Cast, and check what was not known before the request came."""

    def finish(array: Array) -> Array:
        if not shape_fits(target.shape, array.shape):
            told = (list(array.shape), model_input, list(target.shape))
            raise RowError("the shape is %s after the steps, but the model's input %s takes %s" % told)
        result = cast(array, target.datatype) if target.is_numeric else array
        return result if result.flags.c_contiguous else np.ascontiguousarray(result)

    return finish


def _only_row(array: Array) -> Array:
    """The row itself, for a model whose input has no row dimension."""
    if array.shape[0] != 1:
        raise RowError("the model takes one row at a time, not %d" % array.shape[0])
    return np.asarray(array[0])


def _advice(given: Flow, target: Flow) -> str:
    if not shape_fits(given.shape, target.shape):
        if _moved_fits(given, target):
            return 'Add { layout = "%s" } at the end.' % ("NCHW" if given.channel_axis == 3 else "NHWC")
        return "Add or change a step so that the shapes agree: resize, layout, flatten or reshape."
    if given.is_numeric and target.is_numeric:
        return 'Add { cast = "%s" } at the end.' % target.datatype
    return "Add the steps that turn %s into %s." % (given.datatype, target.datatype)


def _moved_fits(given: Flow, target: Flow) -> bool:
    """Whether only the place of the channels is wrong."""
    if given.channel_axis is None or len(given.shape) != 4:
        return False
    shape: List[int] = list(given.shape)
    shape.insert(1 if given.channel_axis == 3 else 3, shape.pop(given.channel_axis))
    return shape_fits(shape, target.shape)
