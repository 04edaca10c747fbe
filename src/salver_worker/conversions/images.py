"""decode_image: encoded pictures become images."""

import io
import struct
import warnings
import zlib
from types import ModuleType
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from salver_worker.conversions.each_row import each_row
from salver_worker.conversions.errors import RowError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.image_kinds import SIDES
from salver_worker.conversions.kinds import FLAG, choice, is_list_of, refuse_unless, whole
from salver_worker.conversions.pillow import CHANNELS, FORMATS, pillow_image
from salver_worker.conversions.step import INPUT, ONE_TEXT, Bound, Given, Kind, Parameter, Step

PILLOW_PIXELS = 178956970
"""Above this many pixels Pillow itself refuses to open an image."""

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    EOFError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on bytes that are not the picture they claim to be."""

ORIENTATION = 0x0112
"""The EXIF tag that says how the camera was held (CIPA DC-008, 4.6.5)."""

TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
SIDEWAYS = (5, 6, 7, 8)


class Decoder(NamedTuple):
    """How pictures are decoded. `pillow` is the module `PIL.Image`."""

    pillow: ModuleType
    mode: str
    formats: Tuple[str, ...]
    turns: bool
    max_pixels: int
    at_least: Optional[Tuple[int, int]]

    def images(self, encoded: Array) -> List[Any]:
        """One image per row; Pillow's warnings stay inside. Raises RowError."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return each_row(self._image, encoded)

    def _image(self, data: bytes) -> Any:
        try:
            return self._decode(data)
        except RowError:
            raise
        except self.pillow.DecompressionBombError as error:
            raise RowError("the image has more than %d pixels" % self.max_pixels) from error
        except UNREADABLE as error:
            raise RowError(_unreadable(data, self.formats)) from error

    def _decode(self, data: bytes) -> Any:
        with self.pillow.open(io.BytesIO(data), formats=self.formats) as image:
            width, height = image.size
            if width * height > self.max_pixels:
                raise RowError("the image has %d x %d pixels, more than %d" % (height, width, self.max_pixels))
            orientation = _orientation(image) if self.turns else 1
            self._draft(image, orientation)
            image.load()
            plain = _in_mode(self.pillow, image, self.mode)
        return plain.transpose(self.pillow.Transpose[TURNS[orientation]]) if orientation in TURNS else plain

    def _draft(self, image: Any, orientation: int) -> None:
        """Let the JPEG decoder leave detail out; other formats have no such way and decode whole."""
        if self.at_least is not None:
            height, width = self.at_least[::-1] if orientation in SIDEWAYS else self.at_least
            image.draft(None, (width, height))


def _orientation(image: Any) -> int:
    """The EXIF orientation; 1 (upright) without one, or when the EXIF block is damaged: the picture itself is good."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except UNREADABLE:
        return 1


def _in_mode(pillow: ModuleType, image: Any, mode: str) -> Any:
    """The image with 8 bits per channel in `mode`. Pixels of 16 bits keep their upper half."""
    is_deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG")
    if is_deep:
        return pillow.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
    if image.mode in ("I", "F"):
        raise RowError("the image has 32 bits per pixel; send one with 8 or 16 bits per channel")
    return image.convert(mode)


def _unreadable(data: bytes, formats: Sequence[str]) -> str:
    if not data:
        return "there are no bytes where an image should be"
    told = (len(data), bytes(data[:8]), ", ".join(formats))
    return "the %d bytes, which begin with %r, are not a whole image that can be read (%s)" % told


def _bind(given: Given) -> Bound:
    values = given.values
    mode = values["mode"]
    decoder = Decoder(pillow_image(), mode, values["formats"], values["exif"], values["max_pixels"], values["at_least"])
    flow = Flow("UINT8", (given.flow.shape[0], -1, -1, CHANNELS[mode]), is_images=True, channel_axis=3, colours=mode)
    return Bound(flow, decoder.images)


def _read_formats(value: Any) -> Tuple[str, ...]:
    refuse_unless(is_list_of(lambda name: name in FORMATS, value))
    return tuple(value)


ENCODINGS = Kind("a list of names of formats", _read_formats)

STEPS = (
    Step(
        name="decode_image",
        stages=(INPUT,),
        takes=ONE_TEXT,
        summary="Encoded pictures (JPEG, PNG, WebP, BMP, TIFF, the first frame of a GIF) become images.",
        parameters=(
            Parameter("mode", choice(*CHANNELS), "RGB", "The colours of the result. RGB and L leave transparency out."),
            Parameter("formats", ENCODINGS, list(FORMATS), "The formats that are taken; fewer are safer."),
            Parameter("exif", FLAG, True, "Turn the picture as its EXIF orientation says."),
            Parameter(
                "max_pixels",
                whole(1, PILLOW_PIXELS, "a whole number from 1 to %d" % PILLOW_PIXELS),
                50000000,
                "Pictures with more pixels are refused before they are decoded.",
            ),
            Parameter(
                "at_least",
                SIDES,
                None,
                "Decode a JPEG at a half, a quarter or an eighth, both sides staying at least this long. "
                "Much faster for big photos, and not quite the same pixels.",
                "whole size",
            ),
        ),
        main="mode",
        bind=_bind,
    ),
)
