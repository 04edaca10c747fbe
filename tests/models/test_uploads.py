"""Uploaded archives become folders, safely; anything else is an artefact as it is."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveLimits
from salver.models.repository import Repository

MakeFile = Callable[..., Path]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


@pytest.fixture
def folder(make_file: MakeFile) -> Path:
    make_file("spam/sub/run.sh", b"#!/bin/sh\n").chmod(0o755)
    return make_file("spam/model.onnx", b"weights").parent


def member(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def refusal(repository: Repository, upload: Path, name: str | None = None) -> str:
    with pytest.raises(LoadError) as caught:
        repository.unpack_upload(upload, name or upload.name)
    assert caught.value.code is Code.INVALID_INPUT
    assert repository.digests() == ()
    assert repository.sweep([]) == 0
    return caught.value.message.removeprefix(f"The upload {name or upload.name!r} ")


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".TGZ"])
@pytest.mark.parametrize("is_alone", [True, False])
def test_a_packed_folder_is_the_folder(
    repository: Repository, folder: Path, tmp_path: Path, ending: str, is_alone: bool
) -> None:
    upload, prefix = tmp_path / "upload", "spam/" if is_alone else ""
    if ending == ".zip":
        with zipfile.ZipFile(upload, "w", zipfile.ZIP_DEFLATED) as zipped:
            for name in ("model.onnx", "sub/run.sh"):
                zipped.write(folder / name, prefix + name)
    else:
        with tarfile.open(upload, "w" if ending == ".tar" else "w:gz") as tar:
            tar.add(folder, arcname=prefix or ".")
    assert repository.unpack_upload(upload, f"spam{ending}") == repository.publish(folder)


def test_an_archive_that_is_an_artefact_itself_stays_packed(repository: Repository, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.npz", "w") as zipped:
        zipped.writestr("a.npy", b"x")
    published = repository.unpack_upload(tmp_path / "weights.npz", "weights.npz")
    assert published == repository.publish(tmp_path / "weights.npz")
    assert (published.path / "weights.npz").is_file()


@pytest.mark.parametrize("name", ["../spam.onnx", "a\\b", ".."])
def test_the_name_of_an_upload_is_no_path(repository: Repository, make_file: MakeFile, name: str) -> None:
    with pytest.raises(LoadError):
        repository.unpack_upload(make_file("upload", b"x"), name)
    assert repository.digests() == ()


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/../../evil", "a\\b", "c:evil"])
def test_names_that_leave_the_folder_are_refused(repository: Repository, tmp_path: Path, name: str) -> None:
    tar = tar_of(tmp_path / "a.tar", member("fine", b"x"), member(name, b"x"))
    assert refusal(repository, tar) == f"has an entry with the unsafe name {name!r}"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_links_and_devices_are_refused(repository: Repository, tmp_path: Path, kind: bytes) -> None:
    tar = tar_of(tmp_path / "a.tar", member("fine", b"x"), member("odd", type=kind, linkname="/etc/passwd"))
    assert refusal(repository, tar) == "has the entry 'odd', which is no ordinary file"


def test_the_same_name_twice_is_refused(repository: Repository, tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", member("a", b"x"), member("A", b"y"))
    assert refusal(repository, tar) == "has the entry 'A' twice"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", upload_limits=ArchiveLimits(max_ratio=10, free_bytes=1024))
    tar = tar_of(tmp_path / "bomb.tar.gz", member("zeros", bytes(1024 * 1024)), mode="w:gz")
    assert "would unpack to 1048576 bytes" in refusal(repository, tar)


def test_a_member_longer_than_anything_is_refused_unread(repository: Repository, tmp_path: Path) -> None:
    info, _ = member("huge", size=2**50)
    (tmp_path / "huge.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert "unpacks to more than" in refusal(repository, tmp_path / "huge.tar")


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository", upload_limits=ArchiveLimits(max_entries=2))
    tar = tar_of(tmp_path / "a.tar", member("a"), member("b"), member("c"))
    assert refusal(repository, tar) == "has more than 2 entries"


def test_headers_that_fill_the_memory_are_refused(repository: Repository, tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar.gz", member("a", pax_headers={"comment": "x" * 100_000}), mode="w:gz")
    assert refusal(repository, tar) == "is a tar with a header longer than 65536 bytes"


@pytest.mark.parametrize("ending", [".tar", ".tar.gz"])
def test_an_archive_cut_anywhere_is_refused(repository: Repository, tmp_path: Path, ending: str) -> None:
    whole = tar_of(
        tmp_path / f"a{ending}", member("a", b"x" * 600), member("b", b"y"), mode=f"w{ending[4:].replace('.', ':')}"
    )
    content = whole.read_bytes()
    end = len(content) if ending == ".tar.gz" else 512 * 5 + 1  # a tar is filled up with empty blocks
    for length in range(0, end, 37 if ending == ".tar" else 1):
        whole.write_bytes(content[:length])
        refusal(repository, whole)


def test_other_compressions_are_refused(repository: Repository, tmp_path: Path) -> None:
    tar = tar_of(tmp_path / "a.tar", member("a", b"x"), mode="w:xz")
    assert refusal(repository, tar).startswith("is a damaged tar: ")


def test_what_is_no_archive_is_refused(repository: Repository, make_file: MakeFile) -> None:
    assert refusal(repository, make_file("a.zip", b"no zip")).startswith("is a damaged zip: ")
    assert refusal(repository, make_file("a.tar.gz", b"no tar")).startswith("is a damaged tar: ")
    assert refusal(repository, make_file("b.tar.gz", gzip.compress(b""))).startswith("is a damaged tar: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(place=st.integers(0, 2559), value=st.integers(0, 255))
def test_a_damaged_tar_is_unpacked_or_refused_and_nothing_else(
    repository: Repository, tmp_path: Path, place: int, value: int
) -> None:
    content = bytearray(tar_of(tmp_path / "a.tar", member("a", b"x" * 600), member("b", b"y")).read_bytes())
    content[place] = value
    (tmp_path / "a.tar").write_bytes(content)
    with contextlib.suppress(LoadError):
        repository.unpack_upload(tmp_path / "a.tar", "a.tar")
