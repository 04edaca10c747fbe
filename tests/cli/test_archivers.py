"""The archivers, without the originals beside them: tests/journeys/test_original_archivers.py compares the two."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "data").mkdir(parents=True)
    (folder / "service.py").write_text("def handle(data, context): return data")
    (folder / "data" / "labels.txt").write_text("cat")
    (folder / "old.mar").write_text("x")
    return folder


def manifest(path: Path, name: str = "MAR-INF/MANIFEST.json") -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read(name))


def test_a_folder_is_packed_for_mms(run, model: Path) -> None:
    assert run("model-archiver", "--model-name", "m", "--model-path", "model", "--handler", "service:handle").code == 0
    assert manifest(Path("m.mar")) == {
        "runtime": "python",
        "model": {"modelName": "m", "handler": "service:handle"},
        "modelServerVersion": "1.0",
        "implementationVersion": "1.0",
        "specificationVersion": "1.0",
    }
    assert zipfile.ZipFile("m.mar").namelist() == ["service.py", "data/labels.txt", "MAR-INF/MANIFEST.json"]


def test_a_tar_has_everything_below_a_folder(run, model: Path) -> None:
    line = ("--model-name", "m", "--model-path", "model", "--handler", "service", "--archive-format", "tgz")
    assert run("model-archiver", *line).code == 0
    with tarfile.open("m.tar.gz") as archive:
        assert archive.getnames() == ["m/service.py", "m/data/labels.txt", "m/MAR-INF/MANIFEST.json"]


def test_a_folder_may_be_packed_in_place(run, model: Path, tmp_path: Path) -> None:
    line = ("--model-name", "model", "--model-path", "model", "--handler", "service", "--archive-format", "no-archive")
    assert run("model-archiver", *line, "--force").code == 0
    assert json.loads((model / "MAR-INF" / "MANIFEST.json").read_text())["model"]["modelName"] == "model"
    assert (model / "service.py").exists()


def test_files_are_packed_for_torchserve(run, model: Path) -> None:
    (model / "weights.pt").write_bytes(b"w")
    line = (
        "--model-name",
        "m",
        "-v",
        "1.2",
        "--handler",
        "model/service:handle",
        "--serialized-file",
        "model/weights.pt",
    )
    assert run("torch-model-archiver", *line, "--extra-files", "model/data,model/*.none").code == 0
    found = manifest(Path("m.mar"))
    assert found["model"] == {
        "modelName": "m",
        "serializedFile": "weights.pt",
        "handler": "service:handle",
        "modelVersion": "1.2",
    }
    assert found["archiverVersion"] == "0.12.0"
    assert set(zipfile.ZipFile("m.mar").namelist()) == {
        "service.py",
        "weights.pt",
        "labels.txt",
        "MAR-INF/MANIFEST.json",
    }


@pytest.mark.parametrize(
    ("handler", "runtime", "members"),
    [
        ("image_classifier", "python", ["MAR-INF/MANIFEST.json"]),
        ("BaseHandler", "LSP", ["MAR-INF/MANIFEST.json"]),
        ("native", "LSP", ["native.so", "MAR-INF/MANIFEST.json"]),
    ],
)
def test_a_handler_of_torchserve_itself_has_no_file(run, tmp_path: Path, handler: str, runtime: str, members) -> None:
    (tmp_path / "native.so").touch()
    line = ("--model-name", "m", "-v", "1", "--handler", handler, "--runtime", runtime)
    assert run("torch-model-archiver", *line).code == 0
    assert zipfile.ZipFile("m.mar").namelist() == members


def test_a_workflow_is_packed(run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "flow.yaml").write_text("dag: {}")
    line = ("--workflow-name", "w", "--spec-file", "flow.yaml", "--handler", "model/service.py")
    assert run("torch-workflow-archiver", *line).code == 0
    found = manifest(Path("w.war"), "WAR-INF/MANIFEST.json")
    assert found["workflow"] == {"workflowName": "w", "specFile": "flow.yaml", "handler": "service.py"}


@pytest.mark.parametrize(
    ("command", "line", "told"),
    [
        ("model-archiver", ("--model-name", "a/b", "--model-path", "model"), "Model name contains special characters."),
        (
            "model-archiver",
            ("--model-name", "m", "--model-path", "no"),
            "Given model-path no is not a valid directory.",
        ),
        ("model-archiver", ("--model-name", "m", "--model-path", "model", "-c"), "--convert is not done"),
        ("torch-model-archiver", ("--model-name", "m", "-v", "1"), "File does not exist: service.py"),
        (
            "torch-model-archiver",
            ("--model-name", "m", "-v", "1", "--extra-files", "no.txt", "--runtime", "LSP"),
            "File does not exist: service.so",
        ),
        (
            "torch-model-archiver",
            ("--model-name", "m", "-v", "1", "--export-path", "no"),
            "Given export-path no is not a directory.",
        ),
        ("torch-workflow-archiver", ("--workflow-name", "a b", "--spec-file", "x"), "Workflow name contains special"),
        ("torch-workflow-archiver", ("--workflow-name", "w", "--spec-file", "no"), "File does not exist: no"),
    ],
)
def test_what_cannot_be_packed_is_told_and_ends_with_1(run, model: Path, command: str, line, told: str) -> None:
    ran = run(command, *line, "--handler", "service")
    assert ran.code == 1
    assert ran.err.startswith(f"ERROR - {told}")
    assert list(Path().glob("*.mar")) == []


def test_an_archive_is_replaced_only_on_request(run, model: Path) -> None:
    line = ("model-archiver", "--model-name", "m", "--model-path", "model", "--handler", "service")
    assert run(*line).code == 0
    assert "already exists." in run(*line).err
    assert run(*line, "-f").err.startswith("WARNING - Overwriting ")


def test_an_archive_that_cannot_be_written_leaves_nothing(run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "m.mar").mkdir()
    ran = run("model-archiver", "--model-name", "m", "--model-path", "model", "--handler", "service", "-f")
    assert ran.code == 1
    assert "Failed to save the model-archive" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "data") == ["m.mar", "model"]
