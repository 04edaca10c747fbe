"""The repository keeps artefacts by their content, and tells when one is not what was published."""

from __future__ import annotations

import hashlib
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveRefused
from salver.models.discovery import discover
from salver.models.disk import Disk
from salver.models.repository import LISTING_NAME, Published, Repository
from salver.models.trees import TreeLimits

MakeFile = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def model(make_file: MakeFile) -> Path:
    make_file("source/model.onnx", b"weights")
    make_file("source/extra/words.txt", "one\ntwo\n")
    make_file("source/run.sh", "#!/bin/sh\n").chmod(0o755)
    return make_file("source/model.toml", "name = 'spam'\n").parent


def refusal(repository: Repository, source: Path, code: Code = Code.INVALID_INPUT) -> str:
    with pytest.raises(LoadError) as caught:
        repository.publish(source)
    assert caught.value.code is code
    return caught.value.message.removeprefix(f"{source} ")


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


def leftovers(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "repository" / "staging").iterdir())


def test_a_folder_is_kept_whole_and_cannot_be_written(repository: Repository, model: Path, tmp_path: Path) -> None:
    published = repository.publish(model)
    assert published.path == tmp_path / "repository" / "sha256" / published.digest[:2] / published.digest
    assert (published.path / "extra" / "words.txt").read_text() == "one\ntwo\n"
    assert published.size_bytes == 7 + 8 + 10 + 14
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (published.path, *published.path.rglob("*"))}
    assert modes.pop("run.sh") == modes.pop("extra") == modes.pop(published.digest) == 0o555
    assert set(modes.values()) == {0o444}
    assert leftovers(tmp_path) == []


def test_a_file_keeps_its_name(repository: Repository, make_file: MakeFile) -> None:
    published = repository.publish(make_file("spam.onnx", b"weights"))
    assert [path.name for path in repository.open(published.digest).glob("[!.]*")] == ["spam.onnx"]


def test_a_file_may_be_given_another_name(repository: Repository, make_file: MakeFile) -> None:
    published = repository.publish(make_file("tmp123", b"weights"), name="spam.onnx")
    assert published == repository.publish(make_file("spam.onnx", b"weights"))


def test_the_digest_is_of_the_listing(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    words = hashlib.sha256(b"one\ntwo\n").hexdigest()
    lines = [
        "salver listing 1",
        f"{words} 8 - extra/words.txt",
        f"{hashlib.sha256(b'weights').hexdigest()} 7 - model.onnx",
    ]
    text = (published.path / LISTING_NAME).read_text()
    assert text.splitlines()[:3] == lines
    assert hashlib.sha256(text.encode()).hexdigest() == published.digest


def test_the_same_content_is_kept_once(repository: Repository, model: Path, tmp_path: Path) -> None:
    first = repository.publish(model)
    (model / "__pycache__").mkdir()
    (model / "__pycache__" / "run.pyc").write_bytes(b"made by looking at it")
    (model / ".hidden").write_bytes(b"x")
    (model / "empty").mkdir()
    os.utime(model / "model.onnx", (1, 1))
    (model / "model.toml").chmod(0o600)
    assert repository.publish(model) == first
    assert repository.digests() == (first.digest,)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("change", ["content", "name", "right to be run", "another file"])
def test_other_content_has_another_digest(repository: Repository, model: Path, change: str) -> None:
    first = repository.publish(model)
    match change:
        case "content":
            (model / "model.onnx").write_bytes(b"Weights")
        case "name":
            (model / "model.onnx").rename(model / "modell.onnx")
        case "right to be run":
            (model / "run.sh").chmod(0o644)
        case _:
            (model / "more").write_bytes(b"")
    assert repository.publish(model).digest != first.digest
    assert len(repository.digests()) == 2


def test_a_link_within_the_folder_stands_for_its_file(repository: Repository, model: Path) -> None:
    (model / "latest.onnx").symlink_to("model.onnx")
    copied = repository.publish(model).path / "latest.onnx"
    assert not copied.is_symlink()
    assert copied.read_bytes() == b"weights"


def test_links_that_leave_the_folder_are_refused(repository: Repository, model: Path, make_file: MakeFile) -> None:
    (model / "passwords").symlink_to(make_file("elsewhere", b"secret"))
    assert refusal(repository, model) == "has the link 'passwords', which leaves it; copy it with `cp -rL`"


@pytest.mark.parametrize("target", ["extra", "missing", "loop"])
def test_links_to_no_file_are_refused(repository: Repository, model: Path, target: str) -> None:
    (model / "loop").symlink_to(target)
    assert refusal(repository, model) == "has the link 'loop' to no file; copy it with `cp -rL`"


def test_pipes_and_sockets_are_refused(repository: Repository, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(model / "pipe")
    assert refusal(repository, model) == "has the entry 'pipe', which is no ordinary file"
    (model / "pipe").unlink()
    monkeypatch.chdir(model)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("sock")
        assert refusal(repository, model) == "has the entry 'sock', which is no ordinary file"


@pytest.mark.parametrize("name", ["a\\b", "a\nb", "c:x", "a\u202eb", os.fsdecode(b"\xff")])
def test_names_that_are_not_portable_are_refused(repository: Repository, model: Path, name: str) -> None:
    (model / name).write_bytes(b"")
    assert refusal(repository, model) == f"has an entry with the unsafe name {name!r}"


def test_names_that_some_system_takes_for_one_are_refused(repository: Repository, model: Path) -> None:
    (model / "MODEL.onnx").write_bytes(b"")
    assert refusal(repository, model) == "has the entry 'model.onnx' twice"


def test_too_many_files_and_too_many_bytes_are_refused(tmp_path: Path, model: Path) -> None:
    few = Repository(tmp_path / "repository", TreeLimits(max_files=3))
    assert refusal(few, model) == "has more than 3 files and folders"
    small = Repository(tmp_path / "repository", TreeLimits(max_bytes=38))
    assert refusal(small, model) == "has 39 bytes, more than 38"
    assert leftovers(tmp_path) == []


def test_an_empty_folder_is_refused(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refusal(repository, tmp_path / "empty") == "is empty"


def test_what_is_not_there_is_refused(repository: Repository, tmp_path: Path) -> None:
    message = refusal(repository, tmp_path / "missing", Code.LOAD_FAILED)
    assert message == "cannot be published or removed: No such file or directory"


@pytest.mark.parametrize("moment", ["after write model.onnx", "after sync model.onnx"])
def test_a_folder_that_changes_meanwhile_is_refused(tmp_path: Path, model: Path, moment: str) -> None:
    def tell(step: str) -> None:
        if step == moment:
            (model / "model.onnx").write_bytes(b"weights and more")

    repository = Repository(tmp_path / "repository", disk=Disk(tell))
    assert refusal(repository, model) == "changed while it was read"
    assert repository.digests() == ()
    assert leftovers(tmp_path) == []


def test_a_full_disk_is_told(tmp_path: Path, model: Path) -> None:
    def tell(step: str) -> None:
        if step == "before sync model.onnx":
            raise OSError(28, "No space left on device")

    repository = Repository(tmp_path / "repository", disk=Disk(tell))
    message = refusal(repository, model, Code.OVERLOADED)
    assert message == "cannot be published or removed: No space left on device"
    assert repository.digests() == ()
    assert leftovers(tmp_path) == []


# What is found later


def damaged(repository: Repository, published: Published) -> str:
    with pytest.raises(LoadError) as caught:
        repository.open(published.digest)
    assert caught.value.code is Code.LOAD_FAILED
    assert not repository.verify(published.digest)
    return caught.value.message.removeprefix(f"The artefact {published.path} is damaged: ")


def test_a_whole_artefact_is_opened_and_verified(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    assert repository.open(published.digest) == published.path
    assert repository.verify(published.digest)


def test_missing_and_cut_and_added_files_are_noticed(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    damage(published.path / "model.onnx", b"weigh")
    assert damaged(repository, published) == "model.onnx was added, removed or changed."
    damage(published.path / "model.onnx", b"weights")
    (published.path / "extra").chmod(0o755)
    (published.path / "extra" / "words.txt").unlink()
    assert damaged(repository, published) == "extra/words.txt was added, removed or changed."


def test_a_changed_listing_is_noticed(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    listing = published.path / LISTING_NAME
    damage(listing, listing.read_bytes().replace(b" 7 ", b" 8 "))
    assert damaged(repository, published) == "its listing was changed."
    damage(listing, b"nonsense")
    assert damaged(repository, published) == "its listing cannot be read."


def test_a_flipped_bit_is_found_by_verifying(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    damage(published.path / "model.onnx", b"weightS")
    assert repository.open(published.digest) == published.path
    assert not repository.verify(published.digest)


def test_publishing_again_mends_what_was_damaged(repository: Repository, model: Path, tmp_path: Path) -> None:
    published = repository.publish(model)
    damage(published.path / "model.onnx", b"weightS")
    assert repository.publish(model) == published
    assert repository.verify(published.digest)
    assert leftovers(tmp_path) == []


def test_unknown_digests_are_told(repository: Repository) -> None:
    with pytest.raises(LoadError, match=f"The repository has no artefact sha256:{'0' * 64}"):
        repository.open("0" * 64)
    with pytest.raises(LoadError, match="is no digest"):
        repository.open("../../etc")
    assert not repository.verify("../../etc")


def test_removing_takes_an_artefact_and_forgives_when_there_is_none(repository: Repository, model: Path) -> None:
    published = repository.publish(model)
    repository.remove(published.digest)
    repository.remove(published.digest)
    repository.remove("../source")
    assert repository.digests() == ()


def test_a_sweep_takes_what_nobody_refers_to(repository: Repository, model: Path, tmp_path: Path) -> None:
    kept = repository.publish(model)
    (model / "more").write_bytes(b"x")
    other = repository.publish(model)
    unfinished = tmp_path / "repository" / "staging" / "publishing-killed" / "artefact"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_bytes(b"")
    unfinished.chmod(0o555)
    assert repository.sweep([kept.digest]) == 2
    assert repository.digests() == (kept.digest,)
    assert not other.path.exists()
    assert leftovers(tmp_path) == []
    assert Repository(tmp_path / "fresh").sweep([]) == 0


def test_a_sweep_leaves_running_publishings_alone(tmp_path: Path, model: Path) -> None:
    swept: list[int] = []

    def tell(step: str) -> None:
        if step == "after sync model.onnx":
            swept.append(repository.sweep([]))

    repository = Repository(tmp_path / "repository", disk=Disk(tell))
    published = repository.publish(model)
    assert swept == [0]
    assert repository.verify(published.digest)


def test_two_publishers_of_the_same_content_agree(tmp_path: Path, model: Path) -> None:
    barrier = threading.Barrier(2)

    def tell(step: str) -> None:
        if step == "after sync run.sh":
            barrier.wait(10)

    results: list[Published] = []
    publishers = [Repository(tmp_path / "repository", disk=Disk(tell)) for _ in range(2)]
    threads = [threading.Thread(target=lambda each=each: results.append(each.publish(model))) for each in publishers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    assert publishers[0].verify(results[0].digest)
    assert leftovers(tmp_path) == []


def test_everything_is_on_the_disk_before_the_artefact_exists(tmp_path: Path, model: Path) -> None:
    steps: list[str] = []
    Repository(tmp_path / "repository", disk=Disk(steps.append)).publish(model)
    moved = next(number for number, step in enumerate(steps) if step.startswith("before move "))
    for name in ("model.onnx", "words.txt", "run.sh", "model.toml", LISTING_NAME, "extra", "artefact"):
        synced = steps.index(f"after sync {name}")
        assert synced < moved
        assert f"before write {name}" not in steps[synced:]
    digest = steps[moved].removeprefix("before move ")
    assert f"before sync {digest[:2]}" in steps[moved:]


def test_refusals_keep_their_cause(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadError) as caught:
        repository.publish(tmp_path / "empty")
    assert isinstance(caught.value.__cause__, ArchiveRefused)


def test_a_published_artefact_is_found_as_its_source_is(
    repository: Repository, make_file: MakeFile, onnx_model: bytes, tmp_path: Path
) -> None:
    for source in (
        make_file("spam.onnx", onnx_model),
        make_file("app/app.py", "def predict(x):\n    return x\n").parent,
    ):
        (before,) = discover([f"spam={source}"], tmp_path).models
        (after,) = discover([f"spam={repository.publish(source).path}"], tmp_path).models
        assert (after.name, after.recognition.runtime) == ("spam", before.recognition.runtime)
        assert after.recognition.artifact.name == before.recognition.artifact.name
