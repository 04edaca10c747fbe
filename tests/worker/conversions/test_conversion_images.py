from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import PIL
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from salver_worker.conversions.plan import ConversionError, ConversionPlan
from salver_worker.errors import InputError

TAKES = ("UINT8", [-1, -1, -1, 3])


@pytest.fixture
def decode(convert: Callable[..., Any], elements: Callable[..., Any]) -> Callable[..., Any]:
    """The pixels of one encoded picture."""

    def run(data: bytes, channels: int = 3, **parameters: Any) -> Any:
        steps = [{"decode_image": parameters}]
        return convert(steps, elements(data), ("UINT8", [-1, -1, -1, channels]))[0]

    return run


@pytest.fixture
def photo() -> Image.Image:
    """A smooth picture, 24 high and 32 wide, whose corners differ."""
    down, across = np.mgrid[0:24, 0:32]
    pixels = np.stack([down * 10, across * 7, 255 - down * 5], axis=-1).astype(np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "GIF", "WEBP", "JPEG"])
def test_each_format_is_decoded(decode: Any, encoded: Any, photo: Image.Image, format: str) -> None:
    pixels = decode(encoded(photo, format))
    allowed = 0 if format in ("PNG", "BMP", "TIFF") else 40
    assert (pixels.dtype, pixels.shape) == (np.uint8, (24, 32, 3))
    assert np.abs(pixels.astype(int) - np.asarray(photo).astype(int)).max() <= allowed


def test_of_an_animation_the_first_frame_is_taken(decode: Any, encoded: Any) -> None:
    frames = [Image.new("P", (3, 2), colour) for colour in (0, 1)]
    for frame in frames:
        frame.putpalette([0, 0, 0, 255, 255, 255])
    data = encoded(frames[1], "GIF", save_all=True, append_images=[frames[0]])
    assert (decode(data) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_orientation_says(
    decode: Any, encoded: Any, photo: Image.Image, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.asarray(photo)
    turned = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }
    data = encoded(photo, "PNG", exif=exif)
    assert np.array_equal(decode(data), turned[orientation])
    assert np.array_equal(decode(data, exif=False), stored)


def test_damaged_exif_leaves_the_picture_as_it_is(decode: Any, encoded: Any, photo: Image.Image) -> None:
    data = encoded(photo, "JPEG", exif=b"Exif\0\0XX*\0garbage")
    assert decode(data).shape == (24, 32, 3)


def test_the_mode_decides_the_channels(decode: Any, encoded: Any) -> None:
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 10))
    assert decode(encoded(image))[0, 0].tolist() == [255, 0, 0]
    assert decode(encoded(image), 4, mode="RGBA")[0, 0].tolist() == [255, 0, 0, 10]
    assert decode(encoded(image), 1, mode="L")[0, 0].tolist() == [76]


def test_colours_of_other_kinds_become_rgb_without_a_warning(decode: Any, encoded: Any) -> None:
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 9, 8, 7])
    assert decode(encoded(palette, transparency=b"\x00\x80"))[0, 0].tolist() == [9, 8, 7]
    assert decode(encoded(Image.new("CMYK", (2, 2), (0, 0, 0, 0)), "TIFF"))[0, 0].tolist() == [255, 255, 255]
    assert decode(encoded(Image.new("1", (2, 2), 1)))[0, 0].tolist() == [255, 255, 255]


def test_16_bits_keep_their_upper_half(decode: Any, encoded: Any) -> None:
    deep = Image.fromarray(np.array([[0x1234, 0xFFFF]], np.uint16))
    assert decode(encoded(deep), 1, mode="L")[..., 0].tolist() == [[0x12, 0xFF]]
    assert decode(encoded(deep, "TIFF"))[0, 0].tolist() == [0x12] * 3


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_32_bits_per_pixel_are_refused(decode: Any, encoded: Any, dtype: Any) -> None:
    with pytest.raises(InputError, match=r'input "x", row 0: the image has 32 bits per pixel'):
        decode(encoded(Image.fromarray(np.zeros((2, 2), dtype)), "TIFF"))


def test_bytes_that_are_no_image_are_refused_with_their_row(convert: Any, elements: Any, encoded: Any) -> None:
    good = encoded(Image.new("RGB", (2, 2)))
    told = (
        r'^input "x", row 1: the 6 bytes, which begin with b\'<html>\', are not a whole image that can be read \(JPEG'
    )
    with pytest.raises(InputError, match=told):
        convert(["decode_image"], elements(good, b"<html>"), TAKES)


def test_no_bytes_are_refused(decode: Any) -> None:
    with pytest.raises(InputError, match="there are no bytes where an image should be"):
        decode(b"")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_a_truncated_image_is_refused(decode: Any, encoded: Any, format: str) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    data = encoded(noise, format)
    with pytest.raises(InputError, match="are not a whole image"):
        decode(data[: len(data) // 2])


def test_formats_that_are_not_taken_are_refused(decode: Any, encoded: Any, photo: Image.Image) -> None:
    with pytest.raises(InputError, match=r"that can be read \(JPEG, PNG\)"):
        decode(encoded(photo, "BMP"), formats=["JPEG", "PNG"])
    with pytest.raises(InputError, match="are not a whole image"):
        decode(encoded(photo, "PPM"))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a huge size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_a_bomb_is_refused_before_it_is_decoded(decode: Any) -> None:
    with pytest.raises(InputError, match=r"the image has 10000 x 10000 pixels, more than 50000000"):
        decode(bomb(10000, 10000))
    with pytest.raises(InputError, match=r"the image has more than 50000000 pixels"):
        decode(bomb(60000, 60000))


def test_the_bound_of_pixels_can_be_set(decode: Any, encoded: Any, photo: Image.Image) -> None:
    assert decode(encoded(photo), max_pixels=24 * 32).shape == (24, 32, 3)
    with pytest.raises(InputError, match="the image has 24 x 32 pixels, more than 767"):
        decode(encoded(photo), max_pixels=767)


def test_a_big_jpeg_may_be_decoded_smaller(decode: Any, encoded: Any, photo: Image.Image) -> None:
    big = photo.resize((512, 256))
    assert decode(encoded(big, "JPEG"), at_least=[64, 64]).shape == (64, 128, 3)
    assert decode(encoded(big, "JPEG"), at_least=[65, 64]).shape == (128, 256, 3)
    assert decode(encoded(big, "PNG"), at_least=[64, 64]).shape == (256, 512, 3)


def test_the_size_of_a_turned_jpeg_is_that_after_turning(decode: Any, encoded: Any, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photo.resize((512, 256)), "JPEG", exif=exif)
    assert decode(data, at_least=[128, 64]).shape == (128, 64, 3)
    assert decode(data, at_least=[129, 64]).shape == (256, 128, 3)


def test_images_of_different_sizes_must_be_made_equal(convert: Any, elements: Any, encoded: Any) -> None:
    pictures = elements(encoded(Image.new("RGB", (2, 3))), encoded(Image.new("RGB", (3, 2))))
    with pytest.raises(InputError, match="row 1: the image is 2 x 3 but the first one is 3 x 2: one size is needed"):
        convert(["decode_image"], pictures, TAKES)
    assert convert(["decode_image", {"resize": [4, 4]}], pictures, TAKES).shape == (2, 4, 4, 3)


def test_a_batch_without_rows_stays_one(convert: Any, elements: Any) -> None:
    assert convert(["decode_image", {"resize": [4, 5]}], elements(), TAKES).shape == (0, 4, 5, 3)
    assert convert(["decode_image"], elements(), TAKES).shape == (0, 0, 0, 3)


@given(data=st.data())
def test_damaged_pictures_are_images_or_input_errors(data: st.DataObject) -> None:
    plan = ConversionPlan.bind(
        {"inputs": [{"name": "x", "datatype": "UINT8", "shape": [-1, 4, 4, 3]}], "outputs": []},
        [{"convert": ["decode_image", {"resize": [4, 4]}]}],
        [],
        "",
    )
    damaged = bytearray(data.draw(st.sampled_from(PICTURES)))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    array = np.array([bytes(damaged)], dtype=object)
    try:
        assert plan.convert_inputs({"x": array})["x"].shape == (1, 4, 4, 3)
    except InputError as error:
        assert 'input "x", row 0' in str(error)  # noqa: PT017  both outcomes are right


def _pictures() -> list[bytes]:
    import io

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    pictures = []
    for format in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"):
        buffer = io.BytesIO()
        image.save(buffer, format)
        pictures.append(buffer.getvalue())
    return pictures


PICTURES = _pictures()


def test_without_pillow_the_error_names_the_interpreter_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, input_error: Callable[..., ConversionError]
) -> None:
    monkeypatch.delattr(PIL, "Image", raising=False)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    error = input_error(["decode_image"], TAKES)
    assert error.message == f"decode_image: needs the package Pillow, which {sys.executable} does not have"
    assert error.fix == f"Run: {sys.executable} -m pip install --upgrade pillow"
    assert error.where == ["inputs", 0, "convert", 0]


def test_a_pillow_that_is_too_old_is_told(
    monkeypatch: pytest.MonkeyPatch, input_error: Callable[..., ConversionError]
) -> None:
    monkeypatch.delattr(Image, "Transpose")
    assert "needs Pillow 9.1 or newer" in input_error(["decode_image"], TAKES).message
