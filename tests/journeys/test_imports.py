"""Other servers' set-ups, imported into a running server and into a folder that is served."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from journey_server import Server, plain_environment, serving

HANDLER = "def handle(data, context):\n    return [bytes(row['body']).upper() for row in data or ()]\n"
DOORS = "native+mms+mms-management@127.0.0.1:0"
"""In place of the file's, for who asks whether the server is ready."""
ONES = {"inputs": {"INPUT0": [[1] * 16], "INPUT1": [[2] * 16]}}


@pytest.fixture
def imports(tmp_path: Path) -> Callable[..., str]:
    """Runs `salver import` as a user does, and gives what it printed."""

    def run(*arguments: object, code: int = 0) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "salver", "import", *map(str, arguments)],
            cwd=tmp_path,
            env=plain_environment("imports"),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    return run


def models(server: Server) -> list[str]:
    rows = server.get("/api/v1/models", headers=server.admin).json()["models"]
    return [f"{row['name']}/{version['version']}" for row in rows for version in row["versions"]]


def test_a_model_config_file_is_pushed_with_its_policies_and_labels(imports, test_data: Path, tmp_path: Path) -> None:
    for version in ("1", "2", "3"):
        shutil.copytree(test_data / "triton" / "simple" / "1", tmp_path / "root" / "models" / "simple" / version)
    config = tmp_path / "models.config"
    config.write_text(
        'model_config_list { config { name: "simple" base_path: "/models/simple" '
        "model_version_policy { specific { versions: [1, 3] } } "
        'version_labels { key: "canary" value: 3 } version_labels { key: "stable" value: 1 } } }'
    )
    with serving(folder=tmp_path) as server:
        arguments = (config, "--root", tmp_path / "root", "--push", "--data-dir", server.data)
        assert "simple version 1: would be published" in imports(*arguments, "--plan")
        assert models(server) == []
        for _ in range(2):
            assert "simple version 3: published" in imports(*arguments)
            assert models(server) == ["simple/3", "simple/1"]
            document = server.get("/api/v1/models/simple", headers=server.admin).json()
            assert (document["labels"], document["default_version"]) == ({"canary": 3, "stable": 1}, 1)
            for place in ("simple", "simple/labels/canary", "simple/versions/3"):
                answer = server.post(f"/v1/models/{place}:predict", json=ONES)
                assert answer.json()["outputs"]["OUTPUT0"] == [[3] * 16], answer.text


def test_a_triton_repository_is_pushed_version_by_version(imports, test_data: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    shutil.copytree(test_data / "triton" / "simple", repository / "simple")
    shutil.copytree(repository / "simple" / "1", repository / "simple" / "2")
    with (repository / "simple" / "config.pbtxt").open("a") as file:
        file.write("version_policy { all {} } instance_group { count: 2 }")
    with serving(folder=tmp_path) as server:
        imports(repository, "--push", "--data-dir", server.data)
        assert models(server) == ["simple/2", "simple/1"]
        config = server.get("/v2/models/simple/versions/1/config").json()
        assert config["instance_group"][0]["count"] == 2


def test_a_model_store_is_written_as_a_folder_that_is_served(imports, tmp_path: Path) -> None:
    store = tmp_path / "srv" / "store"
    store.mkdir(parents=True)
    model = {"modelName": "upper", "handler": "service:handle", "modelVersion": "1.0"}
    with zipfile.ZipFile(store / "upper.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"specificationVersion": "1.0", "model": model}))
        archive.writestr("service.py", HANDLER)
    snapshot = {"models": {"upper": {"1.0": {"marName": "upper.mar", "minWorkers": 2, "batchSize": 4}}}}
    config = store.parent / "config.properties"
    config.write_text(
        "inference_address=http://127.0.0.1:0\nmanagement_address=http://127.0.0.1:0\nmodel_store=store\n"
        f"model_snapshot={json.dumps(snapshot)}\n"
    )
    before = {path: path.read_bytes() for path in store.parent.rglob("*") if path.is_file()}
    into = tmp_path / "salver"
    told = imports(config, "--into", into)
    assert "replicas = 2" in told
    assert {path: path.read_bytes() for path in store.parent.rglob("*") if path.is_file()} == before
    with serving(into / "models", folder=tmp_path, config=into / "salver.toml", doors=DOORS) as server:
        answer = requests.post(f"{server.url}/predictions/upper", data=b"hello", timeout=30)
        assert answer.content == b"HELLO", answer.text
