"""Every form in which a model archive comes is recognised, and unpacked to the same folder."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.archive import unpack
from salver.models.archiverules import ArchiveLimits, ArchiveRefused
from salver.models.discovery import discover
from salver.models.formats import identify, recognise
from salver.models.marfile import parse_legacy_manifest
from salver.models.tars import find_member

SERVICE = "def handle(data, context): return data"
MANIFEST = json.dumps({"model": {"modelName": "noop", "handler": "service"}})
LEGACY = {"Model": {"Service": "noop_service.py", "Model-Name": "noop", "Signature": "signature.json"}}


def write_tar(path: Path, files: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def write_zip(path: Path, files: dict[str, str], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


@pytest.mark.parametrize("name", ["noop.tar.gz", "noop.tgz", "NOOP.TGZ"])
def test_a_packed_tar_with_a_manifest_below_its_folder_is_an_archive(tmp_path: Path, name: str) -> None:
    path = write_tar(tmp_path / name, {"noop/service.py": SERVICE, "noop/MAR-INF/MANIFEST.json": MANIFEST})
    found = recognise(path)
    assert (found.runtime, found.label) == ("mar", "model archive (handler service)")
    folder = unpack(path, tmp_path / "artifacts")
    assert (folder / "service.py").read_text() == SERVICE
    assert unpack(path, tmp_path / "artifacts") == folder


def test_a_packed_tar_of_something_else_is_none(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "data.tar.gz", {"rows.csv": "1,2", "a/b/MAR-INF/MANIFEST.json": MANIFEST})
    with pytest.raises(LoadError, match="is a tar archive"):
        recognise(path)


@pytest.mark.parametrize("content", [b"\x1f\x8b rubbish", gzip.compress(b"no tar"), gzip.compress(b"")])
def test_a_file_that_only_looks_like_a_tar_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(LoadError) as caught:
        recognise(path)
    assert caught.value.code is Code.FORMAT_UNKNOWN


def test_a_tar_that_grows_too_much_is_not_searched(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "big.tgz", {"noop/zeros": "0" * 1_000_000, "noop/MAR-INF/MANIFEST.json": MANIFEST})
    with pytest.raises(ArchiveRefused):
        find_member(path, "/MAR-INF/MANIFEST.json", 100, ArchiveLimits(free_bytes=1000, max_ratio=1, max_entries=1))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_may_be_compressed_or_not(tmp_path: Path, method: int) -> None:
    path = write_zip(tmp_path / "noop.mar", {"service.py": SERVICE, "MAR-INF/MANIFEST.json": MANIFEST}, method)
    assert recognise(path).runtime == "mar"
    assert (unpack(path, tmp_path / "artifacts") / "service.py").read_text() == SERVICE


def test_a_mar_without_a_manifest_is_an_archive_that_names_no_handler(tmp_path: Path) -> None:
    found = recognise(write_zip(tmp_path / "noop.mar", {"service.py": SERVICE}))
    assert (found.runtime, found.label) == ("mar", "model archive (names no handler)")


def test_another_zip_without_a_manifest_is_no_archive(tmp_path: Path) -> None:
    assert identify(write_zip(tmp_path / "noop.zip", {"service.py": SERVICE})) is None


@pytest.mark.parametrize("name", ["noop.model", "noop.mar"])
def test_an_archive_of_mms_0_4_has_its_manifest_at_the_top(tmp_path: Path, name: str) -> None:
    path = write_zip(tmp_path / name, {"noop_service.py": SERVICE, "MANIFEST.json": json.dumps(LEGACY)})
    found = recognise(path)
    assert (found.runtime, found.label) == ("mar", "model archive of MMS 0.4 (handler noop_service.py)")
    (model,) = discover([str(path)], tmp_path / "artifacts").models
    assert (model.name, model.version, model.details) == ("noop", 1, {})


def test_a_folder_of_mms_0_4_is_an_archive_too(tmp_path: Path) -> None:
    folder = tmp_path / "noop"
    folder.mkdir()
    (folder / "MANIFEST.json").write_text(json.dumps(LEGACY))
    found = recognise(folder)
    assert (found.runtime, found.archive.is_legacy) == ("mar", True)


@pytest.mark.parametrize("manifest", ['{"name": "an extension of a browser"}', "{", "[]", '{"Model": 3}'])
def test_a_manifest_of_another_program_is_none(tmp_path: Path, manifest: str) -> None:
    path = write_zip(tmp_path / "noop.zip", {"MANIFEST.json": manifest})
    assert identify(path) is None
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "MANIFEST.json").write_text(manifest)
    assert identify(folder) is None


def test_a_legacy_manifest_must_name_its_service() -> None:
    with pytest.raises(LoadError, match=r"Missing Service entry in MANIFEST\.json of noop\.model"):
        parse_legacy_manifest(b'{"Model": {"Model-Name": "noop"}}', "noop.model")


def test_a_legacy_manifest_cannot_write_over_a_terminal() -> None:
    with pytest.raises(LoadError, match="cannot be printed"):
        parse_legacy_manifest(b'{"Model": {"Service": "a\\u001b[2J"}}', "noop.model")


def test_a_folder_that_model_toml_calls_an_archive_needs_no_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "noop"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE)
    (folder / "model.toml").write_text('runtime = "mar"\nhandler = "service:handle"\n')
    (model,) = discover([str(folder)], tmp_path / "artifacts").models
    assert (model.recognition.runtime, model.manifest.handler) == ("mar", "service:handle")


def test_what_an_archive_wants_installed_is_its_environment(tmp_path: Path) -> None:
    manifest = json.dumps({"model": {"modelName": "m", "handler": "service", "requirementsFile": "wanted.txt"}})
    files = {"service.py": SERVICE, "wanted.txt": "nowhere-to-be-had==1.0\n", "MAR-INF/MANIFEST.json": manifest}
    (model,) = discover([str(write_zip(tmp_path / "m.mar", files))], tmp_path / "artifacts").models
    assert model.wish is not None
    assert "nowhere-to-be-had==1.0" in str(model.wish.request)


def test_the_settings_of_an_archive_reach_its_handler(tmp_path: Path) -> None:
    manifest = json.dumps({"model": {"modelName": "m", "handler": "service", "configFile": "c.yaml"}})
    files = {"service.py": SERVICE, "c.yaml": "batchSize: 4\nmine: 1\n", "MAR-INF/MANIFEST.json": manifest}
    (model,) = discover([str(write_zip(tmp_path / "m.mar", files))], tmp_path / "artifacts").models
    assert model.worker_manifest()["archive_config"] == {"batchSize": 4, "mine": 1}
    assert (model.manifest.batching.max_batch_rows, model.manifest.batching.max_batch_delay_ms) == (4, 100.0)
