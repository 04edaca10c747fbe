"""The models that another server's start-up line names."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.models.given import GivenModel, GivenModels, discover_given
from salver.models.runwords import RunWords

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    def pack(name: str, manifest: dict[str, Any] | None = None, **files: str) -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("service.py", "def handle(data, context): return data")
            for file, text in files.items():
                archive.writestr(file.replace("_yaml", ".yaml"), text)
            if manifest is not None:
                archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": manifest}))
        return path

    return pack


def given(path: Path, **more: Any) -> GivenModel:
    return GivenModel(told=path.name, place=path, file_stem=path.stem, **more)


def find(tmp_path: Path, *models: GivenModel, **more: Any):
    return discover_given(GivenModels(models=models, **more), tmp_path / "artifacts")


def test_a_model_is_called_as_the_line_says_else_as_its_archive_else_as_its_file(pack: Pack, tmp_path: Path) -> None:
    named = pack("a.mar", {"modelName": "own", "handler": "service"})
    unnamed = pack("b.mar", {"handler": "service"})
    found = find(tmp_path, given(named, name="said"), given(named), given(unnamed)).discovery
    assert [model.name for model in found.models] == ["said", "own", "b"]
    assert [model.source for model in found.models] == ["a.mar", "a.mar", "b.mar"]
    assert found.failures == ()


def test_an_archive_or_folder_without_a_manifest_is_one_all_the_same(pack: Pack, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "service.py").write_text("def handle(data, context): return data")
    found = find(tmp_path, given(pack("c.mar")), given(folder)).discovery
    assert [(model.name, model.recognition.runtime) for model in found.models] == [("c", "mar"), ("plain", "mar")]


def test_a_folder_with_a_model_toml_is_what_that_says(tmp_path: Path) -> None:
    folder = tmp_path / "parrot"
    folder.mkdir()
    (folder / "model.toml").write_text('runtime = "echo"\nreplicas = 3\n')
    (model,) = find(tmp_path, given(folder)).discovery.models
    assert (model.recognition.runtime, model.manifest.replicas) == ("echo", 3)


def test_one_that_cannot_be_served_spoils_no_other(pack: Pack, tmp_path: Path) -> None:
    missing = GivenModel(told="gone.mar", place=None, why_not="Model not found in model store: gone.mar")
    broken = tmp_path / "broken.mar"
    broken.write_bytes(b"PK\x03\x04 and nothing else")
    found = find(tmp_path, missing, given(broken), given(pack("a.mar", {"handler": "service"}))).discovery
    assert [model.name for model in found.models] == ["a"]
    assert [failed.source for failed in found.failures] == ["gone.mar", "broken.mar"]
    assert found.failures[0].error.message == "Model not found in model store: gone.mar"


def test_the_closest_word_counts(pack: Pack, tmp_path: Path) -> None:
    config = "minWorkers: 4\n"
    own = {"modelName": "m", "modelVersion": "1.0", "handler": "service", "configFile": "config.yaml"}
    plain = {"modelName": "n", "modelVersion": "1.0", "handler": "service"}
    usual = RunWords(replicas=2, deadline_s=7.0)
    found = find(
        tmp_path,
        given(pack("m.mar", own, config_yaml=config), words=RunWords(replicas=9)),
        given(pack("n.mar", plain)),
        given(pack("o.mar", {**plain, "modelName": "o"})),
        table={"n": {"1.0": RunWords(replicas=3)}},
        usual=usual,
    ).discovery
    assert [model.manifest.replicas for model in found.models] == [4, 3, 2]
    assert [model.manifest.deadline_s for model in found.models] == [7.0, 7.0, 7.0]


def test_versions_of_one_model_are_all_served_and_the_first_answers(pack: Pack, tmp_path: Path) -> None:
    models = [
        given(pack(f"m{number}.mar", {"modelName": "m", "modelVersion": version, "handler": "service"}))
        for number, version in enumerate(["2.0", "1.0", "1.1"])
    ]
    found = find(tmp_path, *models)
    assert [model.version for model in found.discovery.models] == [2, 1, 3]
    assert [model.details["archive_version"] for model in found.discovery.models] == ["2.0", "1.0", "1.1"]
    assert found.defaults == {"m": 2}


def test_the_version_that_answers_can_be_chosen(pack: Pack, tmp_path: Path) -> None:
    first = given(pack("a.mar", {"modelName": "m", "modelVersion": "2", "handler": "service"}))
    second = given(pack("b.mar", {"modelName": "m", "modelVersion": "1", "handler": "service"}), is_default=True)
    assert find(tmp_path, first, second).defaults == {"m": 1}


def test_the_same_version_twice_is_told(pack: Pack, tmp_path: Path) -> None:
    path = pack("a.mar", {"modelName": "m", "modelVersion": "1.0", "handler": "service"})
    found = find(tmp_path, given(path), given(path))
    assert len(found.discovery.models) == 1
    assert found.discovery.failures[0].error.message == "Model version 1.0 is already registered for model m."
    assert found.defaults == {}


def test_the_same_name_twice_is_told(pack: Pack, tmp_path: Path) -> None:
    found = find(tmp_path, given(pack("a.mar")), given(pack("b.mar"), name="a"))
    assert found.discovery.failures[0].error.message == "Model a is already registered."
