"""A package is its listing and the files that it lists: whole, the same bytes everywhere, and known by its content."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.archiverules import ArchiveRefused
from salver.models.discovery import discover
from salver.models.listing import LISTING_NAME
from salver.models.packagefile import (
    check_package,
    is_package,
    listing_in,
    package_name,
    read_text,
    unpack_package,
    write_package,
)
from salver.models.repository import Repository
from salver.models.sources import ModelSource

MakeFile = Callable[..., Path]
CODE = "def predict(x: float) -> float:\n    return 2 * x\n"


@pytest.fixture
def model(make_file: MakeFile) -> Path:
    make_file("m/app.py", CODE)
    make_file("m/sub/run.sh", b"#!/bin/sh\n").chmod(0o755)
    make_file("m/.hidden", "no part of it")
    return make_file("m/model.toml", 'name = "twice"\nhandler = "app.py:predict"\n').parent


@pytest.fixture
def package(model: Path, tmp_path: Path) -> Path:
    write_package(model, tmp_path / "twice.salver")
    return tmp_path / "twice.salver"


def changed(package: Path, target: Path, **files: bytes | None) -> Path:
    """The package with other files: None leaves one out. Names are written with `_` for `.`."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        contents = {name: old.read(name) for name in old.namelist()}
        for name, content in files.items():
            named = LISTING_NAME if name == "listing" else name.replace("_", ".")
            contents.pop(named, None)
            if content is not None:
                contents[named] = content
        for name, content in contents.items():
            new.writestr(name, content)
    return target


def refusal(path: Path, tmp_path: Path) -> str:
    with pytest.raises(LoadError) as caught:
        unpack_package(path, tmp_path / "cache")
    assert caught.value.code is Code.LOAD_FAILED
    assert "salver package" in caught.value.fix
    assert list((tmp_path / "cache").iterdir()) == []
    return caught.value.message.removeprefix(f"{path} ")


def test_the_same_files_are_the_same_bytes_whenever_they_were_made(model: Path, tmp_path: Path) -> None:
    first = write_package(model, tmp_path / "one.salver")
    for number, path in enumerate(sorted(model.rglob("*"))):
        os.utime(path, (number, number))
    (model / "app.py").chmod(0o600)
    second = write_package(model, tmp_path / "two.salver")
    assert first == second == listing_in(model)
    assert (tmp_path / "one.salver").read_bytes() == (tmp_path / "two.salver").read_bytes()
    assert [file.name for file in first.files] == ["app.py", "model.toml", "sub/run.sh"]


def test_nothing_in_the_zip_depends_on_who_writes_it(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == [LISTING_NAME, "app.py", "model.toml", "sub/run.sh"]
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.create_system for entry in entries} == {3}
    assert {oct(entry.external_attr >> 16) for entry in entries} == {"0o100644", "0o100755"}


def test_it_is_unpacked_with_the_rights_that_its_listing_says(package: Path, model: Path, tmp_path: Path) -> None:
    folder, digest = unpack_package(package, tmp_path / "cache")
    assert digest == listing_in(model).digest == hashlib.sha256((folder / LISTING_NAME).read_bytes()).hexdigest()
    assert stat.S_IMODE((folder / "sub" / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((folder / "app.py").stat().st_mode) == 0o644
    assert (folder / "app.py").read_text() == CODE
    assert not (folder / ".hidden").exists()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"app_py": b"def predict(x: float) -> float:\n    return 3 * x\n"},
            "is a package whose file app.py was changed",
        ),
        ({"app_py": None}, "is a package whose file app.py is missing"),
        ({"more_py": b""}, "is a package whose file more.py is not in its listing"),
        ({"_hidden": b""}, "is a package whose file .hidden is not in its listing"),
        ({"listing": b"what is this"}, "is a package whose listing cannot be read"),
    ],
)
def test_what_was_changed_is_refused(
    files: dict[str, bytes | None], reason: str, package: Path, tmp_path: Path
) -> None:
    assert refusal(changed(package, tmp_path / "bad.salver", **files), tmp_path) == reason


def test_a_changed_byte_is_refused_by_the_zip_itself(package: Path, tmp_path: Path) -> None:
    raw = package.read_bytes().replace(b"return 2", b"return 3", 1)
    (tmp_path / "bad.salver").write_bytes(raw)
    assert refusal(tmp_path / "bad.salver", tmp_path).startswith("is a damaged zip: Bad CRC-32 for file 'app.py'")


def test_a_file_that_is_named_for_its_content_is_held_to_it(package: Path, tmp_path: Path) -> None:
    folder, digest = unpack_package(package, tmp_path / "cache")
    name = package_name("twice", digest)
    assert name == f"twice@{digest[:16]}.salver"
    assert check_package(folder, name) == digest
    with pytest.raises(ArchiveRefused, match="is named for the content sha256:0000000000000000 and has sha256:"):
        check_package(folder, "twice@0000000000000000.salver")


def test_a_package_is_known_by_its_content(package: Path, make_file: MakeFile) -> None:
    assert is_package(package.rename(package.with_name("anything.bin")))
    assert not is_package(make_file("x.salver", b"no zip"))
    assert not is_package(package.with_name("not there"))


def test_texts_are_read_without_unpacking(package: Path) -> None:
    assert read_text(package, "app.py") == CODE
    assert read_text(package, "nothing") is None


def test_a_package_that_cannot_be_written_leaves_nothing(model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.salver").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_package(model, tmp_path / "out" / "x.salver")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x.salver"]


# Found


def found(tmp_path: Path, *arguments: Path | str) -> tuple[ModelSource, ...]:
    return discover([str(argument) for argument in arguments], tmp_path / "artifacts").models


def test_it_is_a_model_that_is_named_by_its_own_model_toml(package: Path, model: Path, tmp_path: Path) -> None:
    (only,) = found(tmp_path, package)
    assert (only.name, only.version, only.source) == ("twice", 1, str(package))
    assert only.recognition.label == "Python function predict, in a package"
    assert only.details == {"package": f"sha256:{listing_in(model).digest}"}
    assert (only.folder / "app.py").read_text() == CODE
    assert found(tmp_path, f"other={package}")[0].name == "other"


def test_numbered_folders_may_hold_packages(package: Path, tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / "models" / "m" / number).mkdir(parents=True)
        (tmp_path / "models" / "m" / number / "any.name").write_bytes(package.read_bytes())
    (only,) = found(tmp_path, tmp_path / "models" / "m")
    assert (only.name, only.version) == ("twice", 2)


def test_a_model_toml_beside_it_is_not_used(package: Path, tmp_path: Path) -> None:
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "twice.salver").write_bytes(package.read_bytes())
    (beside / "model.toml").write_text('name = "other"\n')
    (only,) = found(tmp_path, beside)
    assert only.name == "twice"
    assert only.notes == (f"{beside / 'model.toml'} is not used: the package has a model.toml of its own",)


def test_a_package_of_a_package_is_refused(package: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "twice.salver").write_bytes(package.read_bytes())
    write_package(outer, tmp_path / "outer.salver")
    with pytest.raises(LoadError, match="is a package of a package"):
        found(tmp_path, tmp_path / "outer.salver")


# Published


def test_its_address_is_the_digest_that_the_repository_keeps_it_by(package: Path, model: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    published = repository.unpack_upload(package, "whatever it is called")
    assert published.digest == listing_in(model).digest
    assert repository.publish(model).digest == published.digest
    assert repository.digests() == (published.digest,)


def test_a_changed_package_is_not_published(package: Path, tmp_path: Path) -> None:
    repository = Repository(tmp_path / "repository")
    bad = changed(package, tmp_path / "bad.salver", app_py=b"")
    with pytest.raises(LoadError, match=r"is a package whose file app\.py was changed"):
        repository.unpack_upload(bad, "bad.salver")
    with pytest.raises(LoadError, match="is named for the content"):
        repository.unpack_upload(package, "twice@0123456789abcdef.salver")
    assert repository.digests() == ()
