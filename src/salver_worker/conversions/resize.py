"""resize: every image to a size, or its shorter side to a length."""

from types import ModuleType
from typing import Any, Callable, List, NamedTuple, Tuple

import numpy as np

from salver_worker.conversions.crop import centre_box
from salver_worker.conversions.each_row import each_row
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array
from salver_worker.conversions.image_kinds import COLOUR, SIZE
from salver_worker.conversions.kinds import FLAG, choice
from salver_worker.conversions.pillow import pillow_image
from salver_worker.conversions.step import IMAGES, INPUT, REQUIRED, Bound, Given, Parameter, Step

MAX_PIXELS = 50000000
"""No image grows above this: a picture one pixel high could else become gigabytes when its shorter side grows."""

MODES = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
Sampler = Callable[[Any, Tuple[int, int]], Any]


class Resizer(NamedTuple):
    """How images are resized: to `size`, or the shorter side to `size[0]` when `keeps` is "shorter"."""

    pillow: ModuleType
    sample: Sampler
    size: Tuple[int, int]
    keeps: str
    pad: Any

    def images(self, images: List[Any]) -> List[Any]:
        return each_row(self._image, images)

    def _image(self, image: Any) -> Any:
        size = self._scaled((image.height, image.width))
        if size[0] * size[1] > MAX_PIXELS:
            told = (image.height, image.width, size[0], size[1])
            raise RowError("the image of %d x %d would grow to %d x %d pixels" % told)
        resized = self.sample(image, size)
        if self.keeps == "cover":
            return resized.crop(centre_box(size, self.size))
        if self.keeps == "contain":
            return self._padded(resized)
        return resized

    def _scaled(self, size: Tuple[int, int]) -> Tuple[int, int]:
        """The size that the whole image takes, before anything is cut off or added."""
        if self.keeps == "stretch":
            return self.size
        if self.keeps == "shorter":
            return shorter_side_to(self.size[0], size)
        ratios = (self.size[0] / size[0], self.size[1] / size[1])
        ratio = max(ratios) if self.keeps == "cover" else min(ratios)
        return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))

    def _padded(self, image: Any) -> Any:
        height, width = self.size
        whole = self.pillow.new(image.mode, (width, height), self.pad)
        whole.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return whole


def shorter_side_to(length: int, size: Tuple[int, int]) -> Tuple[int, int]:
    """Height and width with the shorter side at `length`; the longer one is rounded down, as torchvision does."""
    height, width = size
    if height <= width:
        return length, length * width // height
    return length * height // width, length


def bilinear_without_antialias(pillow: ModuleType) -> Sampler:
    """Bilinear sampling of the four nearest pixels only, pixel centres aligned: what OpenCV's INTER_LINEAR computes."""

    def sample(image: Any, size: Tuple[int, int]) -> Any:
        pixels = np.asarray(image)
        top, bottom, down = _neighbours(pixels.shape[0], size[0])
        left, right, across = _neighbours(pixels.shape[1], size[1])
        tail = (1,) * (pixels.ndim - 2)
        across = across.reshape((1, -1, *tail))
        down = down.reshape((-1, 1, *tail))
        upper = _between(pixels[top][:, left], pixels[top][:, right], across)
        lower = _between(pixels[bottom][:, left], pixels[bottom][:, right], across)
        return pillow.fromarray(np.rint(_between(upper, lower, down)).astype(np.uint8))

    return sample


def _neighbours(have: int, want: int) -> Tuple[Array, Array, Array]:
    """For each wanted place: the pixels before and after it, and how far it lies from the first."""
    place = np.clip((np.arange(want) + 0.5) * (have / want) - 0.5, 0, have - 1)
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, have - 1), (place - before).astype(np.float32)


def _between(first: Array, second: Array, share: Array) -> Array:
    return np.asarray(first * (1 - share) + second * share)


def _sampler(given: Given) -> Sampler:
    pillow = pillow_image()
    mode = given.values["mode"]
    if given.values["antialias"] or mode == "nearest":
        method = pillow.Resampling[mode.upper()]
        return lambda image, size: image.resize((size[1], size[0]), method)
    if mode != "bilinear":
        message = 'antialias = false goes with mode "bilinear" or "nearest", not with "%s"' % mode
        raise StepError(message, "antialias", 'Leave antialias out, or set mode = "bilinear".')
    return bilinear_without_antialias(pillow)


def _pad(given: Given) -> Any:
    """The colour of the border as Pillow takes it."""
    pad, channels = given.values["pad"], given.flow.channels
    if len(pad) not in (1, channels):
        noun = "channel" if channels == 1 else "channels"
        raise StepError("pad has %d values but the images have %d %s" % (len(pad), channels, noun), "pad")
    return pad[0] if channels == 1 else pad * (channels if len(pad) == 1 else 1)


def _bind(given: Given) -> Bound:
    size, keeps, shape = given.values["size"], given.values["keep"], given.flow.shape
    if isinstance(size, tuple):
        resizer = Resizer(pillow_image(), _sampler(given), size, keeps, _pad(given))
        return Bound(given.flow._replace(shape=(shape[0], *size, shape[3])), resizer.images)
    if keeps != "stretch":
        raise StepError('keep = "%s" needs size = [height, width]' % keeps, "size")
    resizer = Resizer(pillow_image(), _sampler(given), (size, size), "shorter", _pad(given))
    sides = (-1, -1) if -1 in shape[1:3] else shorter_side_to(size, (shape[1], shape[2]))
    return Bound(given.flow._replace(shape=(shape[0], *sides, shape[3])), resizer.images)


STEPS = (
    Step(
        name="resize",
        stages=(INPUT,),
        takes=IMAGES,
        summary="Every image to a size; one number resizes the shorter side and keeps the proportions.",
        parameters=(
            Parameter("size", SIZE, REQUIRED, "Height and width, or the length of the shorter side."),
            Parameter("mode", choice(*MODES), "bilinear", "How pixels are sampled."),
            Parameter(
                "keep",
                choice("stretch", "cover", "contain"),
                "stretch",
                '"stretch" changes the proportions, "cover" cuts off what is too much, "contain" adds a border.',
            ),
            Parameter("pad", COLOUR, 0, 'The colour of the border that "contain" adds.'),
            Parameter(
                "antialias",
                FLAG,
                True,
                "Average all pixels that fall into one, as Pillow and torchvision do. False, with bilinear: look at "
                "the four nearest pixels only, as OpenCV does.",
            ),
        ),
        main="size",
        bind=_bind,
    ),
)
