"""A watched folder: what is at rest is seen, what is half copied is not, and what cannot be read changes nothing."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError, StartupError
from salver.models.discovery import discover
from salver.models.packagefile import write_package
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.folder import FolderSource
from salver.models.sources import Discovery

MakeFile = Callable[..., Path]
QUIET_S = 5.0


class Watched:
    """A folder of models, its source, and a clock that is moved by hand."""

    def __init__(self, tmp_path: Path, model: bytes) -> None:
        self.path, self.artifacts, self.model, self.now = tmp_path / "models", tmp_path / "artifacts", model, 0.0
        self.path.mkdir()
        self.source = self.watch()

    def watch(self, *, with_known: bool = False) -> FolderSource:
        known = discover([str(self.path)], self.artifacts) if with_known else None
        more = {} if known is None else {"known": known}
        return FolderSource(str(self.path), self.artifacts, quiet_s=QUIET_S, clock=lambda: self.now, **more)

    def put(self, name: str, content: bytes | None = None) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.model if content is None else content)
        return path

    def look(self, after_s: float = 0.0) -> dict[str, Seen]:
        self.now += after_s
        return {str(seen.id): seen for seen in asyncio.run(self.source.look())}

    def settled(self) -> dict[str, Seen]:
        """What is seen when everybody has been quiet long enough."""
        self.look()
        return self.look(QUIET_S)

    def gone(self) -> str:
        with pytest.raises(SourceGone) as caught:
            self.look(QUIET_S)
        assert caught.value.code is Code.LOAD_FAILED
        return caught.value.message.removeprefix(f"The watched folder {self.path} cannot be read: ").partition(";")[0]


@pytest.fixture
def watched(tmp_path: Path, onnx_model: bytes) -> Watched:
    return Watched(tmp_path, onnx_model)


def test_all_numbered_versions_are_seen_when_they_are_at_rest(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("spam/0002/model.onnx")
    watched.put("eggs.onnx")
    assert watched.look() == {}
    assert watched.look(QUIET_S - 0.1) == {}
    seen = watched.look(0.1)
    assert list(seen) == ["eggs/1", "spam/1", "spam/2"]
    assert seen["spam/2"].fetch(Path("unused")) == watched.path / "spam" / "0002"
    assert seen["spam/2"].source == str(watched.path / "spam" / "0002")
    assert [model.id.version for model in watched.source.found.models] == [1, 1, 2]


def test_a_version_that_is_still_copied_is_not_seen(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    assert list(watched.settled()) == ["spam/1"]
    for size in (10, 100, len(watched.model)):
        watched.put("spam/2/model.onnx", watched.model[:size])
        assert list(watched.look(QUIET_S)) == ["spam/1"]
        assert watched.source.found.failures == ()
    assert list(watched.look(QUIET_S)) == ["spam/1", "spam/2"]


def test_one_that_keeps_old_times_is_waited_for_all_the_same(watched: Watched) -> None:
    """As `cp -p` and `rsync -t` do."""
    os.utime(watched.put("spam/1/model.onnx"), (0, 0))
    assert watched.look(1000.0) == {}
    assert list(watched.look(QUIET_S)) == ["spam/1"]


def test_a_version_that_says_it_is_complete_is_seen_at_once(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("spam/1/.complete", b"")
    assert list(watched.look()) == ["spam/1"]


def test_a_version_changed_in_its_place_stays_until_the_new_one_is_at_rest(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    first = watched.settled()["spam/1"]
    watched.put("spam/1/words.txt", b"new")
    assert watched.look(QUIET_S)["spam/1"].stamp == first.stamp
    assert watched.look(QUIET_S)["spam/1"].stamp != first.stamp


def test_bad_files_in_its_place_are_told_and_end_nothing(watched: Watched) -> None:
    watched.put("eggs.onnx")
    watched.put("spam/1/model.onnx")
    first = watched.settled()
    watched.put("spam/1/model.onnx", b"")
    assert watched.look(QUIET_S).keys() == first.keys()
    assert watched.source.found.failures == ()
    assert watched.look(QUIET_S)["spam/1"].stamp == first["spam/1"].stamp
    assert [failure.source for failure in watched.source.found.failures] == [str(watched.path / "spam")]


def test_a_bad_version_spoils_no_other(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("spam/2/model.onnx", b"")
    assert list(watched.settled()) == ["spam/1"]
    (failure,) = watched.source.found.failures
    assert failure.source == str(watched.path / "spam" / "2")
    assert failure.error.code is Code.FORMAT_UNKNOWN


def test_a_removed_version_is_gone_when_that_is_at_rest(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("spam/2/model.onnx")
    watched.settled()
    shutil.rmtree(watched.path / "spam" / "1")
    assert list(watched.look()) == ["spam/1", "spam/2"]
    assert list(watched.look(QUIET_S)) == ["spam/2"]


def test_a_manifest_beside_the_versions_belongs_to_them(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("spam/model.toml", b"description = 'one'\n")
    watched.settled()
    first = watched.settled()["spam/1"].stamp
    watched.put("spam/model.toml", b"description = 'another'\n")
    watched.look()
    assert watched.look(QUIET_S)["spam/1"].stamp != first


def test_a_folder_that_vanishes_is_no_empty_answer(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    before = watched.settled()
    shutil.move(watched.path, watched.path.with_name("elsewhere"))
    assert watched.gone() == "No such file or directory"
    assert watched.gone() == "No such file or directory"
    watched.path.mkdir()  # as the place of a disk that is not mounted
    assert watched.gone() == "it is empty"
    watched.path.rmdir()
    shutil.move(watched.path.with_name("elsewhere"), watched.path)
    assert watched.look().keys() == before.keys()


def test_a_folder_that_became_a_file_keeps_its_models(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    before = watched.settled()
    shutil.rmtree(watched.path)
    watched.path.write_bytes(b"odd")
    assert watched.look().keys() == before.keys()


@pytest.mark.parametrize("place", ["models/spam/1", "models/spam"])
def test_a_version_that_cannot_be_read_stays(watched: Watched, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    watched.put("spam/1/model.onnx")
    watched.put("eggs/1/model.onnx")
    before = {id: seen.stamp for id, seen in watched.settled().items()}
    unreadable(monkeypatch, place)
    for _ in range(4):
        assert {id: seen.stamp for id, seen in watched.look(QUIET_S).items()} == before


def unreadable(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Have a folder answer as a disk does that fails."""
    scandir = os.scandir

    def failing(path: str | Path = ".") -> object:
        if str(path).endswith(place):
            raise OSError(5, "Input/output error")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)


def test_a_root_that_cannot_be_listed_is_told(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.put("spam/1/model.onnx")
    watched.settled()
    unreadable(monkeypatch, "/models")
    assert watched.gone() == "Input/output error"


def test_what_a_link_led_to_stays_when_that_vanishes(watched: Watched, tmp_path: Path) -> None:
    elsewhere = watched.put("../mounted/1/model.onnx").parents[1]
    (watched.path / "spam").symlink_to(elsewhere)
    watched.put("eggs/1/model.onnx")
    before = watched.settled()
    assert list(before) == ["eggs/1", "spam/1"]
    shutil.move(elsewhere, tmp_path / "away")
    for _ in range(4):
        assert watched.look(QUIET_S).keys() == before.keys()
    (watched.path / "spam").unlink()
    watched.look()
    assert list(watched.look(QUIET_S)) == ["eggs/1"]


def test_a_folder_that_comes_to_mean_something_else_is_that(watched: Watched) -> None:
    """One file in a folder is named as the folder; two are named as themselves."""
    watched.put("eggs.onnx")
    assert list(watched.settled()) == ["models/1"]
    watched.put("spam.onnx")
    assert list(watched.look()) == ["models/1"]
    assert list(watched.look(QUIET_S)) == ["eggs/1", "spam/1"]


def test_what_changes_while_it_is_looked_at_is_not_at_rest(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.put("spam/1/model.onnx")
    watched.look()

    def changing(*args: object, **more: object) -> Discovery:
        found = discover(*args, **more)  # type: ignore[arg-type]
        watched.put("spam/1/words.txt", str(watched.now).encode())
        return found

    monkeypatch.setattr("salver.models.remotes.folder.discover", changing)
    assert watched.look(QUIET_S) == watched.look(QUIET_S) == {}


def test_an_empty_folder_is_an_answer_at_first(watched: Watched) -> None:
    assert watched.settled() == {}


def test_what_is_served_already_is_seen_at_once(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.source = watched.watch(with_known=True)
    stamp = watched.look()["spam/1"].stamp
    assert watched.look(QUIET_S)["spam/1"].stamp == stamp


def test_nothing_is_looked_at_again_while_nothing_changes(watched: Watched, make_mar: MakeFile) -> None:
    make_mar("models/noop.mar", handler="service:handle", modelName="noop")
    before = watched.settled()
    shutil.rmtree(watched.artifacts)
    assert watched.look(QUIET_S).keys() == before.keys() == {"noop/1"}
    assert not watched.artifacts.exists()


def test_links_are_followed_and_loops_are_not(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    (watched.path / "spam" / "2").symlink_to("1")
    (watched.path / "spam" / "1" / "again").symlink_to("..")
    (watched.path / "spam" / "1" / "nowhere").symlink_to("missing")
    assert list(watched.settled()) == ["spam/1", "spam/2"]


def test_two_folders_of_one_number_and_name_are_told(watched: Watched) -> None:
    watched.put("spam/1/model.onnx")
    watched.settled()
    watched.put("other/1/model.onnx")
    watched.put("other/model.toml", b"name = 'spam'\n")
    with pytest.raises(SourceGone, match="would be version 1 of the model spam"):
        watched.look(QUIET_S)


def test_one_file_can_be_watched(watched: Watched) -> None:
    path = watched.put("eggs.onnx")
    watched.source = FolderSource(f"spam={path}", watched.artifacts, quiet_s=QUIET_S, clock=lambda: watched.now)
    assert list(watched.settled()) == ["spam/1"]
    path.unlink()
    with pytest.raises(SourceGone):
        watched.look()


def test_a_path_that_never_was_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartupError):
        FolderSource(str(tmp_path / "missing"), tmp_path, quiet_s=QUIET_S)


# SHA256SUMS


def sums(**files: bytes) -> bytes:
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name.replace('_', '.')}\n" for name, content in files.items()]
    return "".join(lines).encode()


def refusal(seen: Seen) -> str:
    with pytest.raises(LoadError) as caught:
        seen.fetch(Path("unused"))
    assert caught.value.code is Code.LOAD_FAILED
    return caught.value.message


def test_sums_that_are_right_are_taken(watched: Watched) -> None:
    path = watched.put("spam/1/model.onnx").parent
    watched.put("spam/1/SHA256SUMS", sums(model_onnx=watched.model))
    assert watched.settled()["spam/1"].fetch(Path("unused")) == path


def test_a_flipped_bit_and_a_missing_file_are_refused(watched: Watched) -> None:
    path = watched.put("spam/1/model.onnx").parent
    watched.put("spam/1/SHA256SUMS", sums(words_txt=b"words", model_onnx=watched.model))
    seen = watched.settled()["spam/1"]
    assert refusal(seen) == f"{path / 'words.txt'} is missing; SHA256SUMS names it."
    watched.put("spam/1/words.txt", b"wordz")
    assert refusal(seen) == f"{path / 'words.txt'} is damaged: SHA256SUMS has another digest for it."


@pytest.mark.parametrize("text", [b"nonsense", b"0" * 64 + b"  ../../etc/passwd\n", b"\xff"])
def test_other_texts_are_no_sums(watched: Watched, text: bytes) -> None:
    path = watched.put("spam/1/model.onnx").parent
    watched.put("spam/1/SHA256SUMS", text)
    assert refusal(watched.settled()["spam/1"]) == f"{path / 'SHA256SUMS'} is not as `sha256sum` writes it."


def test_a_package_stays_as_it_is_once_it_was_seen(watched: Watched, tmp_path: Path) -> None:
    """Its model.toml is inside: that it was unpacked meanwhile is no change."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "model.onnx").write_bytes(watched.model)
    (tmp_path / "m" / "model.toml").write_text('name = "m"\n')
    write_package(tmp_path / "m", tmp_path / "m.salver")
    watched.put("m/1/m.salver", (tmp_path / "m.salver").read_bytes())
    watched.put("n/1/m.onnx")
    seen = watched.settled()["m/1"]
    assert watched.look(QUIET_S)["m/1"].stamp == seen.stamp
    watched.put("n/2/m.onnx")
    assert watched.look()["m/1"].stamp == watched.look(QUIET_S)["m/1"].stamp == seen.stamp
