from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from salver_worker.conversions import folder as module
from salver_worker.conversions.errors import StepError
from salver_worker.conversions.folder import read_text


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "assets" / "labels.txt").write_text("ä", encoding="utf-8")
    return folder


def refusal(folder: Path, name: str) -> StepError:
    with pytest.raises(StepError) as caught:
        read_text(str(folder), name, "labels")
    assert caught.value.parameter == "labels"
    return caught.value


def test_a_file_inside_is_read_also_through_a_link_that_stays_inside(model: Path) -> None:
    (model / "link.txt").symlink_to(model / "assets" / "labels.txt")
    assert read_text(str(model), "assets/labels.txt", "labels") == "ä"
    assert read_text(str(model), "link.txt", "labels") == "ä"


def test_a_folder_that_is_itself_a_link_is_fine(model: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(model)
    assert read_text(str(tmp_path / "alias"), "assets/labels.txt", "labels") == "ä"


@pytest.mark.parametrize("name", ["../secret.txt", "assets/../../secret.txt", "assets/../assets/labels.txt", "..\\x"])
def test_a_way_up_is_refused(model: Path, name: str) -> None:
    assert refusal(model, name).message == f"the file {name} lies outside the model's folder"


def test_an_absolute_path_is_refused_even_inside(model: Path) -> None:
    assert "lies outside" in refusal(model, str(model / "assets" / "labels.txt")).message


def test_a_link_out_is_refused(model: Path, tmp_path: Path) -> None:
    (model / "labels.txt").symlink_to(tmp_path / "secret.txt")
    (model / "up").symlink_to(tmp_path)
    assert "lies outside" in refusal(model, "labels.txt").message
    assert "lies outside" in refusal(model, "up/secret.txt").message


def test_a_missing_file_and_a_folder_are_told(model: Path) -> None:
    assert refusal(model, "none.txt").message == "there is no file none.txt in the model's folder"
    assert refusal(model, "assets").message == "assets is not a file"


def test_a_file_that_cannot_be_read_is_told(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(*_arguments: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", deny)
    assert refusal(model, "assets/labels.txt").message == "the file assets/labels.txt: Permission denied"


def test_a_huge_file_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 1)
    assert refusal(model, "assets/labels.txt").message == "the file assets/labels.txt has more than 1 bytes"


def test_the_place_in_the_manifest_is_told(input_error: Any) -> None:
    error = input_error([{"vocabulary": {"file": "../words.txt"}}], ("INT64", [-1, -1]))
    assert error.message == "vocabulary: the file ../words.txt lies outside the model's folder"
    assert error.where == ["inputs", 0, "convert", 0, "vocabulary", "file"]
    assert error.fix == "Copy the file beside model.toml and name it without a path."
