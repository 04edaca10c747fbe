"""Builders of small artefacts, made the way their own tools make them, and a server that can be started again."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.store.memory import MemoryStore

sys.path.append(str(Path(__file__).parent))  # the module beside this file is imported by name

from catalogue_stage import Server

MakeFile = Callable[..., Path]


@pytest.fixture
def data() -> Path:
    """The folder of real models; tests that need it are skipped where it is not."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("SALVER_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no test data in {folder}; set SALVER_TEST_DATA")
    return folder


@pytest.fixture
def make_file(tmp_path: Path) -> MakeFile:
    """Writes a file below the test's folder, folders included: bytes or text."""

    def make(name: str, content: bytes | str = b"") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


@pytest.fixture
def make_mar(tmp_path: Path) -> MakeFile:
    """Writes a model archive as `model-archiver` does; keywords go into its manifest's `model`."""

    def make(name: str, **model: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        manifest = {"specificationVersion": "1.0", "runtime": "python", "model": model}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
            archive.writestr("service.py", "def handle(data, context):\n    return data\n")
        return path

    return make


@pytest.fixture
def make_torch(tmp_path: Path) -> MakeFile:
    """Writes a zip with these members, as PyTorch's files are; `pickle` is the content of data.pkl."""

    def make(name: str, *members: str, pickle: bytes = b"") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            for member in members:
                archive.writestr(member, pickle if member.endswith("data.pkl") else b"")
        return path

    return make


@pytest.fixture(scope="session")
def onnx_model() -> bytes:
    """A model of one input `x`, with a weight that is listed among the inputs as old exporters do."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 2]) for name in "xy")
    weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    listed = helper.make_tensor_value_info("w", TensorProto.FLOAT, [2])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "w"], ["y"])], "g", [x, listed], [y], [weight])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="tests")
    return bytes(model.SerializeToString())


@pytest.fixture
def make_adder(tmp_path: Path) -> MakeFile:
    """`make_adder(2)`: a file that is a model; each number another content."""

    def make(number: int, name: str = "adder.py") -> Path:
        path = tmp_path / f"made-{number}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"def predict(x: float) -> float:\n    return x + {number}\n")
        return path

    return make


@pytest.fixture
def start_server(tmp_path: Path) -> Callable[..., Server]:
    """Starts a server on the same store and files as before."""
    store = MemoryStore()
    return lambda *given: Server(store, tmp_path, given)
