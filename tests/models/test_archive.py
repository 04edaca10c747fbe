"""Archives are unpacked whole and safely, or not at all."""

from __future__ import annotations

import contextlib
import io
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salver.errors import Code, LoadError
from salver.models import archive as archive_module
from salver.models.archive import remove_unfinished, unpack
from salver.models.archiverules import ArchiveLimits, ArchiveRefused, check_entries

MakeFile = Callable[..., Path]
PLENTY = 1024 * 1024


def entry(
    name: str, size: int = 1, mode: int = 0, *, flags: int = 0, method: int = zipfile.ZIP_DEFLATED
) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    info.file_size, info.external_attr, info.flag_bits, info.compress_type = size, mode << 16, flags, method
    return info


def refusal(*entries: zipfile.ZipInfo, limits: ArchiveLimits | None = None) -> str:
    with pytest.raises(ArchiveRefused) as caught:
        check_entries(entries, PLENTY, limits or ArchiveLimits())
    return str(caught.value)


def test_files_and_folders_are_taken() -> None:
    entries = [
        entry("MAR-INF/", mode=stat.S_IFDIR),
        entry("MAR-INF/MANIFEST.json"),
        entry("a/b/c.py", mode=stat.S_IFREG),
    ]
    names = [taken.filename for taken in check_entries(entries, PLENTY, ArchiveLimits())]
    assert names == ["MAR-INF/MANIFEST.json", "a/b/c.py"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/etc/passwd",
        "a//b",
        "./a",
        "a/./b",
        "",
        "..",
        "C:/evil",
        "c:evil",
        "a\\..\\b",
        "\\\\host\\share",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "x" * 256,
        "/".join("a" * 33),
    ],
)
def test_a_name_that_could_mean_another_place_is_refused(name: str) -> None:
    assert refusal(entry("fine"), entry(name)) == f"has an entry with the unsafe name {name!r}"


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR])
def test_links_devices_and_lies_about_folders_are_refused(mode: int) -> None:
    assert refusal(entry("a", mode=mode | 0o777)) == "has the entry 'a', which is no ordinary file"


def test_a_folder_that_claims_to_be_a_link_is_refused() -> None:
    assert refusal(entry("a/", mode=stat.S_IFLNK)) == "has the entry 'a/', which is no ordinary file"


def test_encrypted_entries_and_odd_compressions_are_refused() -> None:
    assert refusal(entry("a", flags=1)) == "has the encrypted entry 'a'"
    assert "in a compression other than deflate" in refusal(entry("a", method=zipfile.ZIP_BZIP2))


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.py", "A.PY"), ("dir/ß", "DIR/SS"), ("e\u0301", "\u00e9"), ("a", "a"), ("a", "a/"), ("a/", "a")],
)
def test_two_entries_that_some_system_takes_for_one_are_refused(first: str, second: str) -> None:
    assert refusal(entry(first), entry(second)) == f"has the entry {second!r} twice"


def test_a_file_below_a_file_is_refused() -> None:
    assert refusal(entry("a"), entry("A/b")) == "has the entry 'A/b' below another that is a file"
    assert refusal(entry("A/b"), entry("a")) == "has the entry 'a' twice"


def test_a_folder_may_be_listed_again() -> None:
    assert check_entries([entry("a/b"), entry("a/"), entry("a/")], PLENTY, ArchiveLimits())


def test_too_many_entries_are_refused() -> None:
    limits = ArchiveLimits(max_entries=2)
    assert refusal(entry("a"), entry("b"), entry("c"), limits=limits) == "has 3 entries, more than 2"


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        (ArchiveLimits(), 200 * PLENTY),
        (ArchiveLimits(max_bytes=1000), 1000),
        (ArchiveLimits(max_ratio=1, free_bytes=3 * PLENTY), 3 * PLENTY),
    ],
)
def test_an_archive_that_would_grow_too_large_is_refused(limits: ArchiveLimits, most: int) -> None:
    assert check_entries([entry("a", most)], PLENTY, limits)
    assert refusal(entry("a", most), entry("b"), limits=limits).endswith(
        f"an archive of {PLENTY} bytes may have {most}"
    )


def write_zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def fault(archive: Path, cache: Path, limits: ArchiveLimits | None = None) -> str:
    with pytest.raises(LoadError) as caught:
        unpack(archive, cache, limits)
    assert caught.value.code is Code.LOAD_FAILED
    return caught.value.message


def test_an_archive_becomes_a_folder_named_by_its_content(make_mar: MakeFile, tmp_path: Path) -> None:
    archive = make_mar("noop.mar", modelName="noop", handler="service:handle")
    folder = unpack(archive, tmp_path / "cache")
    assert (folder / "service.py").read_text().startswith("def handle")
    assert (folder / "MAR-INF" / "MANIFEST.json").is_file()
    assert len(folder.name) == 64
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_the_same_archive_is_unpacked_once(make_mar: MakeFile, tmp_path: Path) -> None:
    archive = make_mar("noop.mar", handler="h")
    folder = unpack(archive, tmp_path)
    (folder / "mark").touch()
    assert unpack(archive.rename(tmp_path / "other.mar"), tmp_path) == folder
    assert (folder / "mark").exists()


def test_nothing_that_is_unpacked_can_be_run(tmp_path: Path) -> None:
    script = zipfile.ZipInfo("run.sh")
    script.external_attr = (stat.S_IFREG | 0o4777) << 16
    folder = unpack(write_zip(tmp_path / "a.mar", (script, b"#!/bin/sh")), tmp_path)
    assert (folder / "run.sh").stat().st_mode & 0o7777 & ~0o644 == 0


def test_a_refused_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "evil.mar", ("fine.txt", b"x"), ("../evil.txt", b"x"))
    assert fault(archive, tmp_path / "cache").endswith("evil.mar has an entry with the unsafe name '../evil.txt'")
    assert list((tmp_path / "cache").iterdir()) == []
    assert not (tmp_path / "evil.txt").exists()


def test_a_bomb_is_refused_by_its_announcement(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "bomb.mar", ("zeros", bytes(1_000_000)))
    assert "would unpack to 1000000 bytes" in fault(archive, tmp_path, ArchiveLimits(free_bytes=1000, max_ratio=10))


def test_bytes_are_counted_whatever_was_announced(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "a.mar", ("a", b"x" * 100))
    with zipfile.ZipFile(archive) as zipped, pytest.raises(ArchiveRefused, match="more bytes than it announces"):
        archive_module._write(zipped, zipped.infolist()[0], tmp_path / "out", 99)


def test_an_entry_that_is_larger_than_announced_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "liar.mar", ("a", b"x" * 1000))
    content = archive.read_bytes().replace((1000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(content)
    assert "is a damaged zip" in fault(archive, tmp_path)


def test_what_is_no_zip_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.mar").write_bytes(b"not a zip")
    assert "a.mar is a damaged zip" in fault(tmp_path / "a.mar", tmp_path)


def test_an_archive_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert "cannot be unpacked: No such file" in fault(tmp_path / "a.mar", tmp_path)


def test_an_archive_that_changes_meanwhile_is_refused(
    make_mar: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_mar("noop.mar", handler="h")
    digests = iter(["before", "after"])
    monkeypatch.setattr(archive_module, "_digest", lambda _archive: next(digests))
    assert fault(archive, tmp_path).endswith("noop.mar changed while it was read")


def test_somebody_who_was_quicker_wins(make_mar: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, cache = make_mar("noop.mar", handler="h"), tmp_path / "cache"
    extract = archive_module.extract

    def extract_slowly(archive: Path, folder: Path, limits: ArchiveLimits) -> None:
        monkeypatch.undo()
        (unpack(archive, cache) / "mark").touch()
        extract(archive, folder, limits)

    monkeypatch.setattr(archive_module, "extract", extract_slowly)
    assert (unpack(archive, cache) / "mark").exists()
    assert len(list(cache.iterdir())) == 1


def test_a_rename_that_fails_is_told(make_mar: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_mar("noop.mar", handler="h")

    def full(_from: Path, _to: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", full)
    assert "cannot be unpacked: No space left on device" in fault(archive, tmp_path / "cache")


def test_what_a_killed_server_left_is_cleared_away(make_mar: MakeFile, tmp_path: Path) -> None:
    (tmp_path / ".unpacking-abc" / "a").mkdir(parents=True)
    folder = unpack(make_mar("noop.mar", handler="h"), tmp_path / "cache")
    (folder.parent / ".unpacking-abc" / "a").mkdir(parents=True)
    remove_unfinished(folder.parent)
    assert list(folder.parent.iterdir()) == [folder]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(position=st.integers(0, 400), junk=st.binary(min_size=1, max_size=8))
def test_a_damaged_archive_is_unpacked_or_refused_and_nothing_else(tmp_path: Path, position: int, junk: bytes) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("MAR-INF/MANIFEST.json", b"{}" * 20)
        zipped.writestr("service.py", b"def handle(data, context): ...")
    damaged = bytearray(content.getvalue())
    damaged[position : position + len(junk)] = junk
    archive = tmp_path / "a.mar"
    archive.write_bytes(damaged)
    with contextlib.suppress(LoadError):
        folder = unpack(archive, tmp_path / "cache")
        assert all(path.resolve().is_relative_to(folder) for path in folder.rglob("*"))
