"""What an import writes, and what it leaves as it is."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.errors import StartupError
from salver.importers.base import Imported
from salver.importers.tomltext import manifest_text, settings_text
from salver.importers.writing import Deed, write
from salver.models.discovery import discover
from salver.models.manifest import BatchingSection, EnvironmentSection, InputSection, Manifest, OutputSection
from salver.models.manifestfile import parse_manifest
from salver.settings.file import read_settings_file
from salver.settings.resolution import resolve


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_what_the_server_reads(read, data: Path, tmp_path: Path) -> None:
    before = files(data / "triton")
    into = tmp_path / "salver"
    deeds = write(read(data / "triton"), into)
    assert set(deeds.values()) == {Deed.WRITTEN}
    found = discover([str(into / "models")], tmp_path / "artifacts")
    assert [str(model.id) for model in found.models] == ["simple/1", "simple_int8/1", "simple_string/1"]
    assert found.models[0].declared is not None
    resolved = resolve(read_settings_file(into / "salver.toml", into), {}, {})
    assert resolved.settings.net.compat == ("openinference",)
    assert files(data / "triton") == before


def test_archives_get_a_model_toml_for_what_was_said_of_them(read, write_config, store: Path, tmp_path: Path) -> None:
    config = write_config("load_models=all\ndefault_workers_per_model=2\nmodel_store=store\n")
    write(read(config), tmp_path / "salver")
    found = discover([str(tmp_path / "salver" / "models")], tmp_path / "artifacts", has_all_versions=True)
    assert [(str(model.id), model.manifest.replicas) for model in found.models] == [
        ("echo/1", 2),
        ("echo/2", 2),
        ("other/1", 2),
    ]


@pytest.fixture
def write_config(store: Path):
    def run(text: str) -> Path:
        path = store.parent / "config.properties"
        path.write_text(text)
        return path

    return run


def test_a_second_import_changes_nothing(read, data: Path, tmp_path: Path) -> None:
    into = tmp_path / "salver"
    write(read(data / "triton"), into)
    before = files(into)
    assert set(write(read(data / "triton"), into).values()) == {Deed.SAME}
    assert files(into) == before


def test_what_somebody_changed_stays_and_what_the_source_changed_comes(read, write_config, tmp_path: Path) -> None:
    into = tmp_path / "salver"
    write(read(write_config("load_models=a.mar\nmodel_store=store\ndefault_workers_per_model=2\n")), into)
    mine = into / "models" / "echo" / "1" / "model.toml"
    mine.write_text("replicas = 9\n")
    config = write_config(
        "load_models=a.mar\nmodel_store=store\ndefault_workers_per_model=3\ndefault_response_timeout=5\n"
    )
    for _ in range(2):
        deeds = write(read(config), into)
        assert deeds["models/echo/1/model.toml"] is Deed.KEPT
        assert mine.read_text() == "replicas = 9\n"
    assert "deadline_s = 5.0" in (into / "salver.toml").read_text()


def test_what_was_there_before_the_first_import_stays(read, data: Path, tmp_path: Path) -> None:
    into = tmp_path / "salver"
    into.mkdir()
    (into / "salver.toml").write_text("# mine\n")
    assert write(read(data / "triton"), into)["salver.toml"] is Deed.KEPT
    assert (into / "salver.toml").read_text() == "# mine\n"


def test_nothing_is_written_into_the_source(read, data: Path, write_config, store: Path) -> None:
    with pytest.raises(StartupError, match="lies in what is imported, which is never changed"):
        write(read(data / "triton"), data / "triton" / "out")
    with pytest.raises(StartupError, match="lies in what is imported"):
        write(read(write_config("load_models=all\nmodel_store=store\n")), store / "out")


def test_a_folder_that_cannot_be_used_says_so(read, data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupError, match="cannot be"):
        write(read(data / "triton"), tmp_path / "file" / "salver")
    (tmp_path / "salver").mkdir()
    (tmp_path / "salver" / "import.json").write_text("{")
    with pytest.raises(StartupError, match=r"import\.json cannot be read"):
        write(read(data / "triton"), tmp_path / "salver")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=20)


@given(TEXTS, st.none() | st.integers(1, 9), st.none() | st.floats(0.001, 1e6), st.dictionaries(st.just("A_B"), TEXTS))
def test_a_manifest_is_read_back_as_it_was_written(text: str, replicas, deadline, variables) -> None:
    manifest = Manifest(
        description=text,
        replicas=replicas,
        deadline_s=deadline,
        environment=EnvironmentSection(variables={name: value.replace("\0", "") for name, value in variables.items()}),
        batching=BatchingSection(max_batch_rows=replicas),
    )
    assert parse_manifest(manifest_text(manifest, "note"), "model.toml") == manifest


def test_an_empty_manifest_is_no_file() -> None:
    assert manifest_text(Manifest(), "note") == ""


def test_settings_are_only_those_that_are_not_so_anyway() -> None:
    text, unknown = settings_text({"port": 8080, "deadline_s": 3.5, "compat": ("mms",), "nothing": 1}, "note")
    assert tomllib.loads(text) == {"serving": {"deadline_s": 3.5}, "net": {"compat": ["mms"]}}
    assert unknown == ("nothing",)


def test_an_import_of_nothing_is_only_settings(tmp_path: Path) -> None:
    imported = Imported(server="Triton", source=str(tmp_path / "x" / "y"))
    assert write(imported, tmp_path / "salver") == {"salver.toml": Deed.WRITTEN}


def test_conversions_are_written_as_tables_of_their_own() -> None:
    scale: dict[str, object] = {"resize": {"size": [2, 3], "mode": "bilinear"}}
    sections = (InputSection(name="a", convert=("softmax", scale)), InputSection(name="b", feeds="c"))
    manifest = Manifest(name="m", inputs=sections, outputs=(OutputSection(reads="y", name="z"),))
    text = manifest_text(manifest, "note")
    assert text.count("[[inputs]]") == 2
    assert parse_manifest(text, "model.toml") == manifest
