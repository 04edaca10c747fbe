"""Pictures as arrays of MXNet (mms/utils/mxnet/image.py). Needs mxnet."""

from __future__ import annotations

from typing import Any, Optional

import mxnet as mx

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


def read(buf: Any, flag: int = 1, to_rgb: bool = True, out: Any = None) -> Any:
    """The encoded picture as height, width, channels."""
    return mx.image.imdecode(bytes(buf), flag, to_rgb, out)


def resize(src: Any, new_width: int, new_height: int, interp: int = 2) -> Any:
    return mx.image.imresize(src, new_width, new_height, interp)


def transform_shape(img_arr: Any, dim_order: str = "NCHW") -> Any:
    """One row of the picture, with its channels first or last."""
    assert dim_order in ("NCHW", "NHWC"), "dim_order must be 'NCHW' or 'NHWC'."
    array = mx.nd.transpose(img_arr, (2, 0, 1)) if dim_order == "NCHW" else img_arr
    return mx.nd.expand_dims(array, axis=0)


def color_normalize(src: Any, mean: Any = None, std: Any = None) -> Any:
    array = src.astype("float32") / 255
    return mx.image.color_normalize(array, mx.nd.array(mean or MEAN), mx.nd.array(std or DEVIATION))


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: Optional[Any] = None, interp: int = 2) -> Any:
    return mx.image.fixed_crop(src, x0, y0, w, h, size, interp)
