"""Steps on numbers, one by one: scale, normalize, clip, cast, round, threshold."""

from typing import Any, Tuple

import numpy as np

from salver_worker.conversions.casting import cast
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow, as_float, numpy_type
from salver_worker.conversions.kinds import DATATYPE, NUMBER, PER_CHANNEL, is_whole, whole
from salver_worker.conversions.step import (
    BOTH,
    FLOATING,
    NUMBERS,
    OUTPUT,
    REQUIRED,
    Bound,
    Given,
    Parameter,
    Step,
)


def _bind_scale(given: Given) -> Bound:
    datatype = as_float(given.flow.datatype)
    kind = numpy_type(datatype).type
    by, offset = kind(given.values["by"]), kind(given.values["offset"])
    return Bound(given.flow._replace(datatype=datatype), lambda array: array.astype(kind) * by + offset)


def _bind_normalize(given: Given) -> Bound:
    flow = given.flow._replace(datatype=as_float(given.flow.datatype))
    mean, std = _per_channel(given, "mean"), _per_channel(given, "std")
    if not std.all():
        raise StepError("std must not be 0", "std")
    kind, axis, channels = numpy_type(flow.datatype), _axis(flow), max(mean.size, std.size)

    def normalize(array: Array) -> Array:
        if channels > 1 and array.shape[axis] != channels:
            raise RowError("%d channels are needed, not %d" % (channels, array.shape[axis]))
        result = array.astype(kind)
        result -= mean
        result /= std
        return result

    return Bound(flow, normalize)


def _axis(flow: Flow) -> int:
    return len(flow.shape) - 1 if flow.channel_axis is None else flow.channel_axis


def _per_channel(given: Given, name: str) -> Array:
    """A parameter's values, shaped so that they meet the channels (or the last dimension)."""
    flow, values = given.flow, given.values[name]
    array = np.array(values, dtype=numpy_type(as_float(flow.datatype)))
    if len(values) == 1:
        return array.reshape(())
    if flow.channels not in (-1, len(values)):
        raise StepError("%s has %d values but %s" % (name, len(values), _channels_in_words(flow)), name)
    return array.reshape((-1,) + (1,) * (len(flow.shape) - 1 - _axis(flow)))


def _channels_in_words(flow: Flow) -> str:
    if flow.channel_axis is None:
        return "a row of %s has %d" % (flow, flow.channels)
    return "the image has %d %s" % (flow.channels, "channel" if flow.channels == 1 else "channels")


def _bind_clip(given: Given) -> Bound:
    low, high = given.values["min"], given.values["max"]
    if low is None and high is None:
        raise StepError("needs min, max or both")
    if low is not None and high is not None and low > high:
        raise StepError("min is above max", "min")
    if not given.flow.is_float:
        low, high = _whole_bounds(given.flow.datatype, low, high)
    return Bound(given.flow, lambda array: np.clip(array, low, high))


def _whole_bounds(datatype: str, low: Any, high: Any) -> Tuple[int, int]:
    """Bounds for whole numbers, inside what the datatype holds."""
    if datatype == "BOOL":
        raise StepError("cannot clip BOOL", fix='Put { cast = "UINT8" } before it.')
    if not all(bound is None or is_whole(bound) for bound in (low, high)):
        raise StepError("min and max must be whole numbers for %s" % datatype, fix='Put { cast = "FP32" } before it.')
    limits = np.iinfo(numpy_type(datatype))
    lowest = limits.min if low is None else min(max(low, limits.min), limits.max)
    highest = limits.max if high is None else min(max(high, limits.min), limits.max)
    return int(lowest), int(highest)


def _bind_cast(given: Given) -> Bound:
    datatype = given.values["datatype"]
    return Bound(given.flow._replace(datatype=datatype), lambda array: cast(array, datatype))


def _bind_round(given: Given) -> Bound:
    digits = given.values["digits"]

    def rounded(array: Array) -> Array:
        """Rounded in double precision; what is too big to have digits behind the point stays as it is."""
        with np.errstate(over="ignore", invalid="ignore"):
            exact = np.round(array.astype(np.float64), digits)
        return np.where(np.isfinite(exact), exact, array).astype(array.dtype)

    return Bound(given.flow, rounded)


def _bind_threshold(given: Given) -> Bound:
    at, levels = given.values["at"], (given.values["above"], given.values["below"])
    datatype = "INT64" if all(map(is_whole, levels)) else "FP32"
    above, below = numpy_type(datatype).type(levels[0]), numpy_type(datatype).type(levels[1])
    return Bound(given.flow._replace(datatype=datatype), lambda array: np.where(array >= at, above, below))


_ROUND_WORDS = "a whole number from 0 to 15"
_BOUNDS = (
    Parameter("min", NUMBER, None, "The lowest value.", "no bound"),
    Parameter("max", NUMBER, None, "The highest value.", "no bound"),
)

STEPS = (
    Step(
        name="scale",
        stages=BOTH,
        takes=NUMBERS,
        summary="Each value times `by`, plus `offset`, in floating numbers.",
        parameters=(
            Parameter("by", NUMBER, REQUIRED, "The factor; 0.00392156862745098 is 1/255."),
            Parameter("offset", NUMBER, 0, "What is added after that."),
        ),
        main="by",
        bind=_bind_scale,
    ),
    Step(
        name="normalize",
        stages=BOTH,
        takes=NUMBERS,
        summary="Each value minus `mean`, divided by `std`, per channel (or per place of the last dimension).",
        parameters=(
            Parameter("mean", PER_CHANNEL, 0, "What is taken away, in the units that the values have at this step."),
            Parameter("std", PER_CHANNEL, 1, "What is divided by."),
        ),
        bind=_bind_normalize,
    ),
    Step(
        name="clip",
        stages=BOTH,
        takes=NUMBERS,
        summary="Values outside the bounds take the bound.",
        parameters=_BOUNDS,
        bind=_bind_clip,
    ),
    Step(
        name="cast",
        stages=BOTH,
        takes=NUMBERS,
        summary="Another datatype. Whole numbers lose fractions; a value that does not fit is refused.",
        parameters=(Parameter("datatype", DATATYPE, REQUIRED, "The datatype of the result."),),
        main="datatype",
        bind=_bind_cast,
    ),
    Step(
        name="round",
        stages=BOTH,
        takes=FLOATING,
        summary="Rounded to some digits behind the point.",
        parameters=(Parameter("digits", whole(0, 15, _ROUND_WORDS), REQUIRED, "How many digits are kept."),),
        main="digits",
        bind=_bind_round,
    ),
    Step(
        name="threshold",
        stages=(OUTPUT,),
        takes=NUMBERS,
        summary="One of two numbers for each value: INT64 when both are whole, else FP32.",
        parameters=(
            Parameter("at", NUMBER, REQUIRED, "The lowest value that counts as above."),
            Parameter("above", NUMBER, 1, "The number for values at or above `at`."),
            Parameter("below", NUMBER, 0, "The number for the others; not-a-number is one of them."),
        ),
        main="at",
        bind=_bind_threshold,
    ),
)
