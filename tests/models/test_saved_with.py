"""What SavedModels and files of Keras tell of the libraries that saved them."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.models import recorded
from salver.models.kerasfile import HDF5_MAGIC, MAX_BYTES, is_model, keras_version
from salver.models.recorded import recorded_requirement
from salver.models.savedmodelfile import tensorflow_series

MakeFile = Callable[..., Path]


def message(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def graph(version: bytes) -> bytes:
    """A SavedModel of one MetaGraph that says by which TensorFlow it was saved."""
    return b"\x08\x01" + message(2, message(1, message(4, b"serve") + message(5, version)))


@pytest.mark.parametrize(
    ("content", "series", "requirement"),
    [
        (graph(b"2.15.1"), (2, 15), "tensorflow-cpu>=2.15"),
        (graph(b"2.21.0-rc1"), (2, 21), "tensorflow-cpu>=2.21"),
        (graph(b"1.14.0"), (1, 14), None),
        (graph(b"unknown"), None, None),
        (b"\x08\x01" + message(2, message(1, message(4, b"serve"))), None, None),
        (b"\x08\x01" + message(2, b""), None, None),
        (b"\x08\x01", None, None),
        (graph(b"2.15.1")[:-8], None, None),
        (b"", None, None),
    ],
)
def test_a_saved_model_names_its_tensorflow(
    make_file: MakeFile, content: bytes, series: tuple[int, int] | None, requirement: str | None
) -> None:
    folder = make_file("model/saved_model.pb", content).parent
    assert tensorflow_series(folder) == series
    assert recorded_requirement("tensorflow", folder) == requirement


def test_a_graph_in_text_is_not_looked_into(make_file: MakeFile) -> None:
    folder = make_file("model/saved_model.pbtxt", "saved_model_schema_version: 1").parent
    assert recorded_requirement("tensorflow", folder) is None


def test_real_saved_models_name_their_tensorflow(data: Path) -> None:
    folder = data / "savedmodel"
    assert tensorflow_series(folder / "saved_model_half_plus_two_tf2_cpu" / "00000123") == (2, 14)
    assert tensorflow_series(folder / "saved_model_half_plus_two_cpu" / "00000123") == (1, 14)


def archive(metadata: str | None) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as written:
        written.writestr("config.json", "{}")
        if metadata is not None:
            written.writestr("metadata.json", metadata)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "version", "requirement"),
    [
        (archive('{"keras_version": "3.5.0"}'), "3.5.0", "keras>=3.5"),
        (archive('{"keras_version": 3}'), "", None),
        (archive("[]"), "", None),
        (archive("{"), "", None),
        (archive(None), "", None),
        (b"PK\x03\x04 cut short", "", None),
        (HDF5_MAGIC + b'model_config {"batch_shape": [null, 4]}', "", None),
    ],
)
def test_a_file_of_keras_names_its_version(
    make_file: MakeFile, content: bytes, version: str, requirement: str | None
) -> None:
    path = make_file("model.keras", content)
    assert keras_version(path) == version
    assert recorded_requirement("keras", path) == requirement


@pytest.mark.parametrize(("python", "requirement"), [((3, 11), "tensorflow-cpu==2.15.*"), ((3, 12), None)])
def test_keras_2_is_part_of_a_tensorflow_that_newer_pythons_lack(
    make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, python: tuple[int, int], requirement: str | None
) -> None:
    monkeypatch.setattr(recorded, "sys", type(sys)("sys"))
    monkeypatch.setattr(recorded.sys, "version_info", python, raising=False)
    for path in (
        make_file("a.h5", HDF5_MAGIC + b'model_config {"batch_input_shape": [null, 4]}'),
        make_file("b.keras", archive('{"keras_version": "2.15.0"}')),
    ):
        assert recorded_requirement("keras", path) == requirement


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    assert keras_version(tmp_path / "none.keras") == ""


def test_a_file_is_searched_across_its_pieces_and_not_without_end(make_file: MakeFile) -> None:
    piece = 1024 * 1024
    assert is_model(make_file("a.h5", bytes(piece - 4) + b"model_config"))
    path = make_file("b.h5", b"")
    with path.open("wb") as file:
        file.seek(MAX_BYTES)
        file.write(b"model_config")
    assert not is_model(path)
