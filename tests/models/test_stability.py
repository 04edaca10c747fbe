"""Whether a model is still being copied."""

from __future__ import annotations

from pathlib import Path

from salver.models.stability import Look, is_stable, look_at


def test_a_model_that_nobody_touches_is_stable(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.onnx").write_bytes(b"abc")
    assert is_stable(look_at(tmp_path), look_at(tmp_path))


def test_a_file_that_grows_is_not(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"abc")
    before = look_at(file)
    file.write_bytes(b"abcd")
    assert not is_stable(before, look_at(file))


def test_a_folder_that_gets_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    before = look_at(tmp_path)
    (tmp_path / "b").write_bytes(b"b")
    assert not is_stable(before, look_at(tmp_path))


def test_nothing_is_not_stable_and_neither_are_empty_files() -> None:
    assert not is_stable(Look(()), Look(()))
    assert not is_stable(Look((("a", 0, 1),)), Look((("a", 0, 1),)))


def test_a_link_to_nowhere_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nothing")
    assert look_at(tmp_path) == Look(())
