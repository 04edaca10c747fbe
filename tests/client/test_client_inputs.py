import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from salver_client import SalverClientError
from salver_client.inputs import Form, Piece, encode_inputs, sniffed_type


def loaded(piece: Piece) -> Any:
    return np.load(BytesIO(piece.data))


class Lazy:
    """Stands for a tensor of another library: it only knows how to become an array."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self._values, dtype)


@pytest.mark.parametrize(
    ("inputs", "document"),
    [
        ({"x": [[1, 2.5]], "y": ["a"]}, {"inputs": {"x": [[1, 2.5]], "y": ["a"]}}),
        ([[1, 2]], {"inputs": [[1, 2]]}),
        (3, {"inputs": 3}),
        ((1, 2), {"inputs": [1, 2]}),
        (["a", b"\xff"], {"inputs": ["a", {"b64": "/w=="}]}),
        ([np.float32(1.5), np.array([1, 2])], {"inputs": [1.5, [1, 2]]}),
        ([Lazy([1])], {"inputs": [[1]]}),
        (np.array([["a", "b"]]), {"inputs": [["a", "b"]]}),
        (np.array([1, "x"], object), {"inputs": [1, "x"]}),
    ],
)
def test_plain_values_are_sent_as_json(inputs: Any, document: Any) -> None:
    piece = encode_inputs(inputs)

    assert isinstance(piece, Piece)
    assert piece.content_type == "application/json"
    assert json.loads(piece.data) == document


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i8", "?"])
def test_an_array_keeps_its_datatype_and_shape(dtype: str) -> None:
    array = np.array([[1, 0], [0, 1]], dtype).T

    piece = encode_inputs(array)

    assert isinstance(piece, Piece)
    assert piece.content_type == "application/x-npy"
    assert loaded(piece).dtype == array.dtype
    assert np.array_equal(loaded(piece), array)


def test_a_number_of_numpy_is_an_array_without_dimensions() -> None:
    piece = encode_inputs(np.float32(1.5))

    assert isinstance(piece, Piece)
    assert loaded(piece).shape == ()


def test_whatever_becomes_an_array_is_one() -> None:
    piece = encode_inputs(Lazy([[1.0]]))

    assert isinstance(piece, Piece)
    assert loaded(piece).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"BMxx", "image/bmp"),
        (b"II*\0", "image/tiff"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_bytes_say_what_they_are(data: bytes, content_type: str) -> None:
    assert sniffed_type(data) == content_type
    piece = encode_inputs(bytearray(data))
    assert piece == Piece(content_type, data, "data")


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("cat.jpg", "image/jpeg"),
        ("cat.webp", "image/webp"),
        ("rows.CSV", "text/csv"),
        ("rows.npy", "application/x-npy"),
        ("rows.json", "application/json"),
        ("note.txt", "text/plain"),
        ("unknown", "image/png"),
    ],
)
def test_a_file_is_sent_as_what_its_name_says(tmp_path: Path, name: str, content_type: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x89PNG\r\n\x1a\n")

    assert encode_inputs(path) == Piece(content_type, b"\x89PNG\r\n\x1a\n", name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SalverClientError, match=r"gone\.jpg cannot be read") as caught:
        encode_inputs(tmp_path / "gone.jpg")
    assert caught.value.code == "INVALID_INPUT"


def test_a_text_is_the_body() -> None:
    assert encode_inputs("grüß") == Piece("text/plain; charset=utf-8", "grüß".encode())


def test_named_inputs_of_several_kinds_become_a_form() -> None:
    form = encode_inputs({"image": b"\xff\xd8\xff", "weights": np.ones((1, 2), "f4"), "top": [3], "text": "a"})

    assert isinstance(form, Form)
    pieces = dict(form.pieces)
    assert pieces["image"] == Piece("image/jpeg", b"\xff\xd8\xff", "data")
    assert loaded(pieces["weights"]).dtype == np.float32
    assert pieces["top"] == Piece("application/json", b"[3]")
    assert pieces["text"].content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([float("nan")], "no NaN"),
        ({"x": [float("inf")]}, "no NaN"),
        ([object()], "type object cannot be sent"),
        ({"x": {1, 2}}, "type set cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_it_is(inputs: Any, message: str) -> None:
    with pytest.raises(SalverClientError, match=message) as caught:
        encode_inputs(inputs)
    assert (caught.value.code, caught.value.status) == ("INVALID_INPUT", 0)
