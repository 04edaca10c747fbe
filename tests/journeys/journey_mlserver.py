"""The real MLServer, in an environment of its own, and the models that it and this server are asked for."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from journey_models import write_model
from journey_originals import ORIGINALS, START_S, Ports
from journey_server import eventually
from journey_sockets import free_ports

PACKAGES = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1")
IRIS = """
import joblib, sys
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

joblib.dump(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True)), sys.argv[1])
"""
WORDS = """
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceResponse

class Words(MLModel):
    async def load(self):
        return True

    async def predict(self, payload):
        (given,) = payload.inputs
        upper = [text.upper() for text in self.decode(given, default_codec=StringCodec)]
        output = StringCodec.encode_output("upper", upper)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
"""
OUR_WORDS = """
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "upper", "datatype": "BYTES", "shape": [-1]}],
}

def predict(text: np.ndarray) -> np.ndarray:
    return np.array([each.decode().upper().encode() for each in text], object)
"""


def environment(folder: Path) -> Path:
    """The folder with the commands of an environment that has MLServer. Skips, loudly, where it cannot be made."""
    ready = Path(os.environ.get(ORIGINALS, "/nowhere")) / "mlserver" / "bin"
    if ready.is_dir():
        return ready
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    python = folder / "bin" / "python"
    try:
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES],
        ):
            subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", b"") or b""
        pytest.skip(f"NO MLSERVER from the package index: {error} {output[-500:]!r}")
    return folder / "bin"


def write_models(folder: Path) -> tuple[Path, Path]:
    """MLServer's folder, and ours: the same scikit-learn file, and code that does the same with text."""
    theirs, ours = folder / "theirs", folder / "ours"
    iris = theirs / "iris"
    iris.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", IRIS, str(iris / "model.joblib")], check=True, timeout=120)
    _write_settings(iris, "iris", "mlserver_sklearn.SKLearnModel", uri="./model.joblib")
    shutil.copytree(iris, ours / "iris")
    words = theirs / "words"
    words.mkdir()
    (words / "words.py").write_text(WORDS)
    _write_settings(words, "words", "words.Words")
    write_model(ours / "words", OUR_WORDS, name="words")
    return theirs, ours


def _write_settings(folder: Path, name: str, implementation: str, **parameters: str) -> None:
    document = {"name": name, "implementation": implementation, "parameters": {"version": "1", **parameters}}
    (folder / "model-settings.json").write_text(json.dumps(document))


@contextmanager
def mlserver(commands: Path, models: Path, folder: Path) -> Iterator[Ports]:
    """The original server, running; its temporary files and its home are in the folder."""
    http, grpc, metrics = free_ports(3)
    settings = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics}
    (models / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    (folder / "tmp").mkdir(parents=True)
    variables = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "tmp"),
    }
    output = folder / "original.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [str(commands / "mlserver"), "start", str(models)],
            cwd=folder,
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        eventually(lambda: _is_ready(http, process, output), START_S, "MLServer is ready")
        yield Ports(http, http, metrics, grpc, grpc)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _is_ready(port: int, process: subprocess.Popen[bytes], output: Path) -> bool:
    assert process.poll() is None, f"MLServer ended\n{output.read_text()[-3000:]}"
    try:
        return requests.get(f"http://127.0.0.1:{port}/v2/models/iris/ready", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
