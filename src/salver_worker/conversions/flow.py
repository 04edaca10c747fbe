"""What passes from one step to the next: its datatype and shape, as far as they are known before any request."""

from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, widen

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:
    Array = np.ndarray  # NDArray is newer than the oldest NumPy a runtime needs

DATATYPES = (*NUMPY_TYPES, "BF16")
"""The datatypes of numbers. Arrays hold BF16 as float32; it is narrowed where it leaves the process."""

FLOATS = ("FP16", "BF16", "FP32", "FP64")
SMALL = ("BOOL", "UINT8", "INT8", "UINT16", "INT16", "FP16", "BF16", "FP32")


class Flow(NamedTuple):
    """One value on its way through a chain of steps. The first dimension counts rows; -1 is a dimension not known.

    With `is_images` the value is a list of Pillow images, one per row, and `shape` is that of their packed form.
    """

    datatype: str
    shape: Tuple[int, ...]
    is_images: bool = False
    channel_axis: Optional[int] = None
    colours: str = ""

    def __str__(self) -> str:
        """As messages say it: ``FP32 [-1, 3, 227, 227]``."""
        if self.is_images:
            height, width = self.shape[1:3]
            size = "of any size" if -1 in (height, width) else "of %d x %d" % (height, width)
            return "%s images %s" % (self.colours, size)
        return "%s %s" % (self.datatype, list(self.shape))

    @property
    def is_numeric(self) -> bool:
        return self.datatype in DATATYPES

    @property
    def is_float(self) -> bool:
        return self.datatype in FLOATS

    @property
    def is_integer(self) -> bool:
        return self.is_numeric and not self.is_float and self.datatype != "BOOL"

    @property
    def channels(self) -> int:
        """How many channels the images have, or values the last dimension when there are no channels; -1: not known."""
        if self.channel_axis is not None:
            return self.shape[self.channel_axis]
        return self.shape[-1] if len(self.shape) > 1 else 1


def numpy_type(datatype: str) -> "np.dtype[Any]":
    """NumPy's type of the arrays that hold a datatype; BYTES are objects."""
    return NUMPY_TYPES.get(widen(datatype), np.dtype(object))


def as_float(datatype: str) -> str:
    """The floating type that holds a datatype's values well enough to compute with."""
    return "FP32" if datatype in SMALL else "FP64"


def shape_fits(known: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether two shapes can be the same one, -1 standing for any size."""
    return len(known) == len(shape) and all(map(_same_size, known, shape))


def _same_size(left: int, right: int) -> bool:
    return left == right or -1 in (left, right)
