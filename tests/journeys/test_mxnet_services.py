"""The base classes of MMS 0.4 with the real MXNet, ours and the original's: one model, one request, one answer."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journey_originals import ORIGINALS

import salver_worker
from salver.replicas.environments.interpreters import candidates

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

WORKER = Path(salver_worker.__file__).parent
PACKAGES = ("mxnet==1.9.1", "numpy<1.24", "requests", "pillow")
ORIGINAL = "multi-model-server==1.1.11"
OLD = ("python3.7", "python3.8")
"""What this MXNet still loads in."""
MAKE = """
import mxnet as mx
from mxnet.gluon import nn

mx.random.seed(1)
data = mx.sym.Variable("data")
line = mx.sym.FullyConnected(data, num_hidden=3, name="line")
arguments = {"line_weight": mx.nd.array([[1, 2], [3, 4], [5, 6]]), "line_bias": mx.nd.array([0, 1, 2])}
mx.model.save_checkpoint("line", 3, line, arguments, {})

picture = mx.sym.Variable("data")
shrunk = mx.sym.Pooling(picture, kernel=(8, 8), stride=(8, 8), pool_type="avg")
out = mx.sym.softmax(mx.sym.FullyConnected(shrunk / 255, num_hidden=6, name="top"))
arguments = {"top_weight": mx.nd.random.normal(shape=(6, 48)), "top_bias": mx.nd.zeros((6,))}
mx.model.save_checkpoint("vision", 0, out, arguments, {})

net = nn.Dense(6, in_units=3 * 32 * 32)
net.initialize(mx.init.Normal(0.05))
net.save_parameters("gluon.params")
"""
ASK = """
import json, sys

folder, asked = sys.argv[1], json.loads(sys.argv[5])
sys.path[:0] = [sys.argv[3], sys.argv[4]] if sys.argv[2] == "ours" else []
from mms.model_service.gluon_vision_service import GluonVisionService
from mms.model_service.mxnet_model_service import MXNetBaseService
from mms.model_service.mxnet_vision_service import MXNetVisionService
from mms.utils.mxnet import image, ndarray, nlp
from mxnet.gluon import nn
import mxnet as mx

def rounded(value):
    return json.loads(json.dumps(value), parse_float=lambda text: round(float(text), 4))

def manifest(name, parameters):
    return {"Model": {"Signature": name + ".json", "Symbol": name + "-symbol.json", "Parameters": parameters}}

class Named(GluonVisionService):
    def __init__(self, *given):
        super().__init__(*given, net=nn.Dense(6, in_units=3 * 32 * 32))

    def _postprocess(self, data):
        return [ndarray.top_probability(data, self.labels, top=2)]

class Line(MXNetBaseService):
    def _preprocess(self, data):
        return list(super()._preprocess(data))  # the original's is a map, which its own check refuses

picture = bytes.fromhex(asked["picture"])
line = Line("line", folder, manifest("line", "line-0003.params"))
vision = MXNetVisionService("vision", folder, manifest("vision", "vision-0000.params"))
gluon = Named("gluon", folder, manifest("vision", "gluon.params"))
read = image.read(picture)
answers = {
    "line": line.inference([[[1.0, 2.0]]]),
    "vision": vision.inference([picture]),
    "gluon": gluon.inference([picture]),
    "ping": [line.ping(), gluon.ping()],
    "signature": line.signature,
    "read": list(read.shape),
    "crop": image.fixed_crop(read, 1, 2, 5, 4).asnumpy().tolist(),
    "normal": image.color_normalize(read, mx.nd.array([1, 2, 3]), mx.nd.array([2, 2, 2])).asnumpy().tolist(),
    "written": [image.write(read, dim_order="HWC"), image.write(mx.nd.transpose(read, (2, 0, 1)), format="png")],
    "transposed": [list(image.transform_shape(read, order).shape) for order in ("NCHW", "NHWC")],
    "top": ndarray.top_probability(mx.nd.array([[0.1, 0.7, 0.2]]).reshape((1, 3, 1, 1)), ["a", "b", "c"], top=2),
    "encoded": nlp.encode_sentences([["a", "b"], ["b", "c"]]),
    "known": nlp.encode_sentences([["a", "z"]], {"a": 3}),
}
batch = nlp.pad_sentence([1, 2, 3], [2, 4, 8])
shapes = [list(each.shape) for each in batch.provide_data]
answers["padded"] = [batch.data[0].asnumpy().tolist(), batch.bucket_key, shapes]
wrong = []
for given in ([[1.0, 2.0, 3.0]], [[[1.0, 2.0]], [[1.0]]]):
    try:
        line.inference(given if len(given) > 1 else [given])
        wrong.append("taken")
    except AssertionError as error:
        wrong.append(str(error))
answers["wrong"] = wrong
if sys.argv[2] == "ours":
    answers["plain"] = MXNetBaseService("line", folder, manifest("line", "line-0003.params")).inference([[[1.0, 2.0]]])
print("ANSWERS " + json.dumps(rounded(answers)))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with MXNet and the original. Skips, loudly, where there can be none."""
    ready = Path(os.environ.get(ORIGINALS, "/nowhere")) / "mxnet" / "bin" / "python"
    if ready.exists():
        return ready
    old = next((path for path in candidates(os.environ["PATH"]) if path.endswith(OLD)), None)
    if old is None:
        pytest.skip("NO PYTHON 3.8 on this machine: MXNet loads in no newer one")
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    folder = tmp_path_factory.mktemp("mxnet") / "environment"
    made = folder / "bin" / "python"
    try:
        run(uv, "venv", "--quiet", "--python", str(old), str(folder))
        run(uv, "pip", "install", "--quiet", "--python", str(made), *PACKAGES)
        run(uv, "pip", "install", "--quiet", "--python", str(made), "--no-deps", ORIGINAL)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"NO MXNET from the package index: {getattr(error, 'output', error)!r}")
    return made


def run(*command: str, **more: Any) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, **more)


@pytest.fixture(scope="module")
def models(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, shape in (("line", [0, 2]), ("vision", [0, 3, 32, 32])):
        signature = {"inputs": [{"data_name": "data", "data_shape": shape}], "input_type": "application/json"}
        (folder / f"{name}.json").write_text(json.dumps(signature))
    (folder / "synset.txt").write_text("".join(f"n{number} thing\n" for number in range(6)))
    run(str(python), "-W", "ignore", "-c", MAKE, cwd=folder)
    return folder


def answers(python: Path, models: Path, whose: str, folder: Path) -> dict[str, Any]:
    from PIL import Image

    image = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    asked = json.dumps({"picture": file.getvalue().hex()})
    command = [python, "-W", "ignore", "-c", ASK, models, whose, WORKER / "shims", WORKER.parent, asked]
    ran = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    found: dict[str, Any] = json.loads(ran.stdout.decode().partition("ANSWERS ")[2])
    return found


def test_services_answer_as_the_originals(python: Path, models: Path, tmp_path: Path) -> None:
    ours, theirs = (answers(python, models, whose, tmp_path) for whose in ("ours", "theirs"))
    for key, told in theirs.items():
        assert ours[key] == told, key
    assert ours["plain"] == ours["line"] == ["[[5.0, 12.0, 19.0]]"]
