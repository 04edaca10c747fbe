"""The handlers that TorchServe brings, ours and the original's: the same archive, the same request, the same answer."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from journey_originals import environment

import salver_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

WORKER = Path(salver_worker.__file__).parent
MODEL = """
import torch

class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x):
        return self.layer(x)
"""
ASK = """
import json, sys

folder, has_shims = sys.argv[1], sys.argv[2] == "ours"
sys.path[:0] = [sys.argv[3], sys.argv[4], folder] if has_shims else [folder]
import torch
from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import load_label_mapping, map_class_to_label

class Processor:
    def get_request_property(self, key):
        return headers.get(key)

class Context:
    system_properties = {"model_dir": folder, "gpu_id": None, "limit_max_image_pixels": True}
    model_yaml_config = {}
    request_processor = [Processor()]
    metrics = type("Metrics", (), {"add_time": lambda *given, **named: None})()

    def get_request_header(self, place, key):
        return headers.get(key)

    def get_request_id(self, place=0):
        return "request"

answers = {}
headers = {}
eager = {"modelFile": "line.py", "serializedFile": "state.pt"}
for kind, model in {"eager": eager, "script": {"serializedFile": "script.pt"}}.items():
    context = Context()
    context.manifest = {"model": model}
    handler = BaseHandler()
    handler.initialize(context)
    answers[kind] = handler.handle([[1.0, 2.0], [3.0, 4.0]], context)
    answers[kind + " labels"] = handler.mapping
    answers[kind + " is ready"] = handler.initialized
    answers[kind + " module"] = BaseHandler.__module__
labels = load_label_mapping(folder + "/index_to_name.json")
answers["labels"] = map_class_to_label([[0.75, 0.25]], labels, [[1, 0]])
answers["no labels"] = map_class_to_label([[0.75, 0.25]], None, [[1, 0]])
headers["describe"] = "True"
answers["described"] = handler.handle([[1.0, 2.0]], context)
print("ANSWERS " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment("torchserve", tmp_path_factory.mktemp("torch") / "environment") / "python"


@pytest.fixture(scope="module")
def archive(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("line")
    (folder / "line.py").write_text(MODEL)
    (folder / "index_to_name.json").write_text('{"0": ["n0", "cat"], "1": "dog"}')
    make = "import torch, line; torch.manual_seed(1); m = line.Line(); torch.save(m.state_dict(), 'state.pt'); "
    make += "torch.jit.script(m).save('script.pt')"
    subprocess.run([python, "-W", "ignore", "-c", make], cwd=folder, check=True, timeout=300)
    return folder


def asked(python: Path, archive: Path, whose: str, folder: Path) -> dict[str, Any]:
    command = [python, "-W", "ignore", "-c", ASK, archive, whose, WORKER / "shims", WORKER.parent]
    variables = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "HOME": str(folder)}
    ran = subprocess.run(command, cwd=folder, env=variables, check=True, capture_output=True, timeout=300)
    line = next(line for line in ran.stdout.decode().splitlines() if line.startswith("ANSWERS "))
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWERS "))
    return found


def test_the_base_handler_answers_as_the_originals(python: Path, archive: Path, tmp_path: Path) -> None:
    theirs, ours = (asked(python, archive, whose, tmp_path) for whose in ("theirs", "ours"))
    assert ours == theirs
    assert len(ours["eager"]) == len(ours["script"]) == 2
