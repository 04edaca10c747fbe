"""Set-ups of other servers, of real models."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.importers.base import Imported
from salver.importers.known import read_setup

Read = Callable[..., Imported]


@pytest.fixture
def data() -> Path:
    """The folder of real models; tests that need it are skipped where it is not."""
    folder = Path(os.environ.get("SALVER_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; set SALVER_TEST_DATA")
    return folder


@pytest.fixture
def read() -> Read:
    def run(path: Path, kind: str | None = None, root: Path | None = None, **files: Path) -> Imported:
        return read_setup(path, kind, root, files)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    """Writes a text below the test's folder."""

    def run(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return run


@pytest.fixture
def container(tmp_path: Path, data: Path) -> Path:
    """The file system of a container with models of TensorFlow Serving, one of ONNX in two versions."""
    root = tmp_path / "root"
    for version in ("1", "2"):
        shutil.copytree(data / "triton" / "simple" / "1", root / "models" / "simple" / version)
    shutil.copytree(data / "savedmodel" / "saved_model_half_plus_two_2_versions", root / "models" / "half")
    shutil.copytree(data / "savedmodel" / "bad_half_plus_two", root / "models" / "bad")
    return root


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A model store of two archives, one of them in two versions."""
    folder = tmp_path / "srv" / "store"
    folder.mkdir(parents=True)
    for file, name, version in (("a.mar", "echo", "1.0"), ("b.mar", "echo", "2.0"), ("other.mar", "other", None)):
        model = {"modelName": name, "handler": "service:handle", **({"modelVersion": version} if version else {})}
        with zipfile.ZipFile(folder / file, "w") as archive:
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"specificationVersion": "1.0", "model": model}))
            archive.writestr(
                "service.py", "def handle(data, context):\n    return [bytes(r['body']) for r in data or ()]\n"
            )
    return folder
