"""What the commands that change models work out by themselves, before a server is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from salver.cli.failure import CommandFailed
from salver.cli.push import identity_of, named_by
from salver.cli.versions import size_text


@pytest.mark.parametrize(
    ("path", "identity"),
    [
        ("iris.onnx", ("iris", None)),
        ("net_v1.1.onnx", ("net_v1.1", None)),
        ("model.joblib.gz", ("model", None)),
        ("digits/", ("digits", None)),
        ("net.v2/", ("net.v2", None)),
        ("digits/3/", ("digits", 3)),
        ("digits/0003/", ("digits", 3)),
    ],
)
def test_a_path_says_name_and_version(tmp_path: Path, path: str, identity: tuple[str, int | None]) -> None:
    place = tmp_path / path
    if path.endswith("/"):
        place.mkdir(parents=True)
    else:
        place.touch()
    assert identity_of(place) == identity


@pytest.mark.parametrize("place", ["digits/3", "digits"])
def test_a_model_toml_names_the_model(tmp_path: Path, place: str) -> None:
    version = tmp_path / "digits" / "3"
    version.mkdir(parents=True)
    (tmp_path / place / "model.toml").write_text('name = "numerals"\n')
    assert identity_of(version) == ("numerals", 3)


def test_a_path_without_a_usable_name_asks_for_one() -> None:
    with pytest.raises(CommandFailed, match="no name that can be used") as raised:
        named_by("___.onnx")
    assert "--name" in raised.value.fix


def test_a_name_that_no_model_may_have_is_told_before_anything_is_sent(run, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").touch()
    ran = run("push", str(tmp_path / "model.onnx"), "--name", "a/b")
    assert (ran.code, "'a/b' is no name for a model" in ran.err) == (1, True)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**2, "5.0 MiB"), (3 * 1024**4, "3072.0 GiB")],
)
def test_sizes_are_told_as_people_read_them(size: int, text: str) -> None:
    assert size_text(size) == text


def test_a_path_that_is_not_there_is_told(run) -> None:
    ran = run("push", "nowhere.onnx")
    assert ran.code == 1
    assert "there is no file or folder nowhere.onnx" in ran.err


@pytest.mark.parametrize("path", ["zoo:resnet.onnx", "https://host/resnet.onnx"])
def test_a_place_elsewhere_without_its_digest_is_told_how_to_write_it(run, path: str) -> None:
    assert "remote:path@sha256:DIGEST" in run("push", path).err


def test_deleting_asks_first_and_no_answer_is_no(run, monkeypatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ran = run("delete", "iris", "2")
    assert ran.code == 130
    assert "Delete version 2 of iris for good?" in ran.err
