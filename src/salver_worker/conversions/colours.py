"""Steps on colours: grey, invert, colour_order, layout."""

from typing import List

import numpy as np

from salver_worker.conversions.errors import StepError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.kinds import choice
from salver_worker.conversions.step import IMAGES, INPUT, NUMBERS, PIXELS, REQUIRED, Bound, Given, Parameter, Step

ACCEPT_FIX = "Begin with decode_image, or with accept and its layout."


def _bind_grey(given: Given) -> Bound:
    flow = given.flow._replace(shape=(*given.flow.shape[:3], 1), colours="L")
    return Bound(flow, lambda images: [image.convert("L") for image in images])


def _bind_invert(given: Given) -> Bound:
    if given.flow.is_images:
        inverse = list(range(255, -1, -1))
        same = list(range(256))
        table = {"L": inverse, "RGB": inverse * 3, "RGBA": inverse * 3 + same}[given.flow.colours]
        return Bound(given.flow, lambda images: [image.point(table) for image in images])
    return Bound(given.flow, lambda array: 255 - array)


def _channel_axis(flow: Flow) -> int:
    if flow.channel_axis is None:
        raise StepError("does not know where the channels of %s are" % str(flow), fix=ACCEPT_FIX)
    return flow.channel_axis


def _bind_colour_order(given: Given) -> Bound:
    order, flow = given.values["order"], given.flow
    axis = _channel_axis(flow)
    if flow.shape[axis] != 3:
        raise StepError(
            "needs images with 3 channels but gets %s" % str(flow), fix='Use decode_image with mode = "RGB".'
        )
    if order == flow.colours:
        return Bound(flow, lambda array: array)
    reverse = (slice(None),) * axis + (slice(None, None, -1),)
    return Bound(flow._replace(colours=order), lambda array: array[reverse])


def _bind_layout(given: Given) -> Bound:
    flow, is_first = given.flow, given.values["order"] in ("NCHW", "CHW")
    axis, wanted = _channel_axis(flow), 1 if is_first else 3
    shape: List[int] = list(flow.shape)
    shape.insert(wanted, shape.pop(axis))
    moved = flow._replace(shape=tuple(shape), channel_axis=wanted)
    return Bound(moved, lambda array: _moved(array, axis, wanted))


def _moved(array: Array, axis: int, wanted: int) -> Array:
    return np.moveaxis(array, axis, wanted)


STEPS = (
    Step(
        name="grey",
        stages=(INPUT,),
        takes=IMAGES,
        summary="Images become grey, with one channel (0.299 R + 0.587 G + 0.114 B).",
        bind=_bind_grey,
    ),
    Step(
        name="invert",
        stages=(INPUT,),
        takes=PIXELS,
        summary="Dark becomes light: 255 minus each value. For models trained on white digits on black.",
        bind=_bind_invert,
    ),
    Step(
        name="colour_order",
        stages=(INPUT,),
        takes=NUMBERS,
        summary="The order of the three colour channels; images that are decoded here are RGB.",
        parameters=(Parameter("order", choice("RGB", "BGR"), REQUIRED, "The order that the model takes."),),
        main="order",
        bind=_bind_colour_order,
    ),
    Step(
        name="layout",
        stages=(INPUT,),
        takes=NUMBERS,
        summary="Where the channels stand: before height and width (NCHW, CHW) or after them (NHWC, HWC).",
        parameters=(
            Parameter("order", choice("NCHW", "NHWC", "CHW", "HWC"), REQUIRED, "The layout that the model takes."),
        ),
        main="order",
        bind=_bind_layout,
    ),
)
