"""A .war, opened."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.workflows.archive import MAX_BYTES, OpenedWorkflow, open_workflow

SPEC = "models:\n  m:\n    url: m.mar\ndag:\n  pre: [m]\n"
WORKFLOW = {"workflowName": "own", "specFile": "spec.yaml", "handler": "steps.py"}
FILES = {"spec.yaml": SPEC, "steps.py": "def pre(data, context): ...\n", "words.txt": "beside"}


def war(folder: Path, manifest: Any = None, files: dict[str, str] = FILES) -> Path:
    path = folder / "w.war"
    with zipfile.ZipFile(path, "w") as archive:
        if manifest is not False:
            text = manifest if isinstance(manifest, str) else json.dumps(manifest or {"workflow": WORKFLOW})
            archive.writestr("WAR-INF/MANIFEST.json", text)
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def opened(path: Path, name: str | None = None) -> OpenedWorkflow:
    scratch = path.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_workflow(path, scratch, name, "w.war")


def test_an_archive_names_its_workflow_unless_the_call_does(tmp_path: Path) -> None:
    path = war(tmp_path)
    assert opened(path).workflow.name == "own"
    assert [opened(path, "given").workflow.model(node) for node in opened(path).workflow.nodes] == [
        "given__pre",
        "given__m",
    ]


def test_a_folder_is_an_archive_that_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(war(tmp_path)) as archive:
        archive.extractall(tmp_path / "folder")
    assert opened(tmp_path / "folder").workflow.url == "w.war"


def test_a_function_becomes_a_model_archive_with_all_files(tmp_path: Path) -> None:
    found = opened(war(tmp_path))
    found.write_function(found.workflow.nodes[0], tmp_path / "pre.mar")
    with zipfile.ZipFile(tmp_path / "pre.mar") as archive:
        assert sorted(archive.namelist()) == ["MAR-INF/MANIFEST.json", "spec.yaml", "steps.py", "words.txt"]
        model = json.loads(archive.read("MAR-INF/MANIFEST.json"))["model"]
    assert model == {"modelName": "own__pre", "modelVersion": "1.0", "handler": "steps.py:pre"}


@pytest.mark.parametrize(
    ("manifest", "files", "words"),
    [
        (False, FILES, "it has no WAR-INF/MANIFEST.json"),
        ("{", FILES, "WAR-INF/MANIFEST.json: "),
        ({"other": 1}, FILES, "Missing Workflow entry in manifest file."),
        ({"workflow": {"specFile": "spec.yaml"}}, FILES, "Workflow name is not defined."),
        ({"workflow": {**WORKFLOW, "workflowName": "a/b"}}, FILES, "'a/b' is no name for a workflow"),
        ({"workflow": {"workflowName": "own"}}, FILES, "the manifest names no specFile"),
        (None, {"spec.yaml": SPEC}, "it has no file steps.py"),
        (None, {**FILES, "spec.yaml": "models: ["}, "spec.yaml, the workflow's specification, is no YAML"),
        (None, {**FILES, "spec.yaml": "[1]"}, "is no YAML mapping"),
        (None, {**FILES, "steps.py": "#" * (MAX_BYTES + 1)}, "steps.py is larger than"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, manifest: Any, files: dict[str, str], words: str) -> None:
    with pytest.raises(LoadError) as refused:
        opened(war(tmp_path, manifest, files))
    assert refused.value.code is Code.MANIFEST_INVALID
    assert words in refused.value.message
    assert "torch-workflow-archiver" in refused.value.fix or "Correct" in refused.value.fix
    assert str(tmp_path) not in refused.value.message


def test_what_is_no_zip_is_refused_without_telling_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "w.war").write_text("no zip")
    with pytest.raises(LoadError, match=r"^w\.war is a damaged zip") as refused:
        opened(tmp_path / "w.war")
    assert str(tmp_path) not in str(refused.value)
