"""Pictures as arrays of MXNet (mms/utils/mxnet/image.py). Needs mxnet."""

from __future__ import annotations

import base64
import io
from typing import Any, Optional

import mxnet as mx


def read(buf: Any, flag: int = 1, to_rgb: bool = True, out: Any = None) -> Any:
    """The encoded picture as height, width, channels."""
    return mx.image.imdecode(bytes(buf), flag, to_rgb, out)


def write(img_arr: Any, flag: int = 1, format: str = "jpeg", dim_order: str = "CHW") -> str:
    """The picture encoded, in base64; `flag` 1 has colours, 0 is grey."""
    from PIL import Image

    assert dim_order in ("CHW", "HWC"), "dim_order must be 'CHW' or 'HWC'."
    array = (mx.nd.transpose(img_arr, (1, 2, 0)) if dim_order == "CHW" else img_arr).astype("uint8").asnumpy()
    picture = Image.fromarray(array) if flag == 1 else Image.fromarray(array.reshape(array.shape[:2]))
    file = io.BytesIO()
    picture.save(file, format)
    return base64.b64encode(file.getvalue()).decode()


def resize(src: Any, new_width: int, new_height: int, interp: int = 2) -> Any:
    return mx.image.imresize(src, new_width, new_height, interp)


def transform_shape(img_arr: Any, dim_order: str = "NCHW") -> Any:
    """One row of the picture, with its channels first or last."""
    assert dim_order in ("NCHW", "NHWC"), "dim_order must be 'NCHW' or 'NHWC'."
    array = mx.nd.transpose(img_arr, (2, 0, 1)) if dim_order == "NCHW" else img_arr
    return mx.nd.expand_dims(array, axis=0)


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    return mx.image.color_normalize(src.astype("float32"), mean, std)


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: Optional[Any] = None, interp: int = 2) -> Any:
    return mx.image.fixed_crop(src, x0, y0, w, h, size, interp)
