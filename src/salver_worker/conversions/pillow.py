"""Pillow, imported only when a manifest works on images, and what of it is used."""

import sys
from types import ModuleType

from salver_worker.conversions.errors import StepError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def pillow_image() -> ModuleType:
    """The module `PIL.Image`. Raises StepError that names the interpreter when it is not there."""
    try:
        from PIL import Image
    except ImportError as error:
        message = "needs the package Pillow, which %s does not have" % sys.executable
        raise StepError(message, fix=_install()) from error
    if not hasattr(Image, "Transpose"):
        raise StepError("needs Pillow 9.1 or newer, which %s does not have" % sys.executable, fix=_install())
    return Image


def _install() -> str:
    return "Run: %s -m pip install --upgrade pillow" % sys.executable
