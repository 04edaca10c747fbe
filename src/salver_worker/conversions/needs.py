"""What steps need of the value that comes in: one table, so that a wrong order is told the same way everywhere."""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple

import numpy as np

from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.step import ANYTHING, FLOATING, IMAGES, NUMBERS, ONE_TEXT, PIXELS, TEXTS, WHOLE


class Need(NamedTuple):
    accepts: Callable[[Flow], bool]
    fix: str


NEEDS: Dict[str, Need] = {
    ANYTHING: Need(lambda _flow: True, ""),
    TEXTS: Need(lambda flow: flow.datatype == "BYTES", "Put it before the steps that make numbers."),
    ONE_TEXT: Need(
        lambda flow: flow.datatype == "BYTES" and len(flow.shape) == 1,
        "Put it first, where callers' BYTES come in: one element for each row.",
    ),
    IMAGES: Need(lambda flow: flow.is_images, 'Put "decode_image" before it, and steps that make numbers after it.'),
    PIXELS: Need(lambda flow: flow.datatype == "UINT8", "Put it before the steps that make other numbers."),
    NUMBERS: Need(
        lambda flow: flow.is_numeric, "Put a step before it that makes numbers, such as decode_image or csv."
    ),
    FLOATING: Need(lambda flow: flow.is_float, 'Put { cast = "FP32" } or a scale before it.'),
    WHOLE: Need(lambda flow: flow.is_integer, 'Put { cast = "INT64" } before it.'),
}


def meet_need(need: str, flow: Flow) -> Tuple[Flow, Tuple[Callable[[Any], Any], ...]]:
    """The incoming value in the form that a step needs, and what must run for that. Raises StepError."""
    if not NEEDS[need].accepts(flow):
        raise StepError("needs %s but gets %s" % (need, flow), fix=NEEDS[need].fix)
    if flow.is_images and need not in (IMAGES, PIXELS):
        return packed(flow), (lambda images: pack(images, flow),)
    return flow, ()


def packed(flow: Flow) -> Flow:
    return flow._replace(is_images=False)


def pack(images: List[Any], flow: Flow) -> Array:
    """Images as one UINT8 array [rows, height, width, channels]. Raises RowError when their sizes differ."""
    channels = flow.shape[3]
    width, height = images[0].size if images else (max(flow.shape[2], 0), max(flow.shape[1], 0))
    array = np.empty((len(images), height, width, channels), dtype=np.uint8)
    for row, image in enumerate(images):
        if image.size != (width, height):
            told = (image.height, image.width, height, width)
            raise RowError("the image is %d x %d but the first one is %d x %d: one size is needed" % told, row)
        array[row] = np.asarray(image).reshape(height, width, channels)
    return array
