"""`salver import`: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two of Triton's models that are served here."""
    data = Path(os.environ.get("SALVER_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not data.is_dir():
        pytest.skip(f"no test data in {data}; set SALVER_TEST_DATA")
    for name in ("simple", "simple_int8"):
        shutil.copytree(data / "triton" / name, tmp_path / "repository" / name)
    return tmp_path / "repository"


def test_without_a_place_it_only_tells(run, repository: Path, tmp_path: Path) -> None:
    ran = run("import", str(repository))
    assert ran.code == 0, ran.err
    assert "2 of 2 models are served here; 1 option not mapped" in ran.out
    assert "Nothing is written" in ran.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repository"]


def test_a_plan_writes_nothing(run, repository: Path, tmp_path: Path) -> None:
    ran = run("import", str(repository), "--into", "salver", "--plan")
    assert ran.code == 0, ran.err
    assert not (tmp_path / "salver").exists()


def test_it_writes_and_says_how_to_start(run, repository: Path, tmp_path: Path) -> None:
    ran = run("import", str(repository), "--into", "salver")
    assert ran.code == 0, ran.err
    assert "Start it with: salver serve salver/models --config salver/salver.toml" in ran.out
    assert (tmp_path / "salver" / "models" / "simple" / "1" / "model.onnx").is_file()
    (tmp_path / "salver" / "salver.toml").write_text("# mine")
    again = run("import", str(repository), "--into", "salver")
    assert "salver/salver.toml was changed since the last import, and stays as it is" in again.err
    assert "0 files written, 4 were there" in again.out


def test_a_model_that_is_not_served_is_a_failure_and_the_rest_is_brought(run, repository: Path, tmp_path: Path) -> None:
    (repository / "simple" / "config.pbtxt").write_text('name: "simple" backend: "tensorrt"')
    ran = run("import", str(repository), "--into", "salver")
    assert ran.code == 1
    assert "error: not everything is served here: simple" in ran.err
    assert (tmp_path / "salver" / "models" / "simple_int8").is_dir()
    assert not (tmp_path / "salver" / "models" / "simple").exists()


def test_strict_minds_options_too(run, repository: Path) -> None:
    ran = run("import", str(repository), "--strict")
    assert ran.code == 1
    assert "error: 1 options are not mapped" in ran.err


def test_json_is_the_whole_import(run, repository: Path) -> None:
    document = json.loads(run("import", str(repository), "--json").out)
    assert (document["server"], [model["name"] for model in document["models"]]) == (
        "Triton",
        ["simple", "simple_int8"],
    )
    assert document["models"][0]["remarks"][0] == {"option": "name", "fate": "mapped", "text": "the model's name"}


def test_a_source_that_is_none_is_wrong_use(run, tmp_path: Path) -> None:
    ran = run("import", str(tmp_path / "nothing"))
    assert (ran.code, "there is no such file or folder" in ran.err) == (2, True)
    (tmp_path / "empty").mkdir()
    assert run("import", str(tmp_path / "empty")).code == 2
    assert run("import", str(tmp_path / "empty"), "--as", "triton").code == 1
    (tmp_path / "models.config").write_text("model_config_list { }")
    ran = run("import", "models.config")
    assert (ran.code, "models.config names no model" in ran.err) == (1, True)


def test_a_push_needs_a_server(run, repository: Path) -> None:
    ran = run("import", str(repository), "--push")
    assert ran.code == 1
    assert "No server runs on the data directory" in ran.err
