"""MXNet on an old Python, a model of R and a program in C, beside a function: one server, over three wires."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_server import Server, eventually, serving

from framework_environments import framework_python, interpreter, run_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "executable"
BUILT_S = 900.0
NET = """
import json, sys
import mxnet as mx

layer = mx.sym.FullyConnected(mx.sym.Variable("x"), num_hidden=2, name="y")
net = mx.mod.Module(layer, data_names=["x"], label_names=None)
net.bind([("x", (1, 2))], for_training=False)
net.init_params(mx.init.Normal(1))
net.save_checkpoint(sys.argv[1], 0)
net.forward(mx.io.DataBatch([mx.nd.array([[1.5, -2]])]), is_train=False)
print(json.dumps(net.get_outputs()[0].asnumpy().tolist()))
"""
TREE = """
d <- data.frame(x = c(1, 2, 3, 4, 5, 6, 7), g = factor(c("a", "b", "a", "b", "a", "b", "a")))
d$y <- d$x + as.integer(d$g) + c(0.1, -0.2, 0.3, 0, -0.1, 0.2, 0)
model <- glm(y ~ x + g, data = d)
saveRDS(model, commandArgs(TRUE)[1])
cat(sprintf("%.17g", predict(model, data.frame(x = 2.5, g = "b"), type = "response")))
"""


class Languages:
    """The server, and what each framework answers by itself."""

    def __init__(self, server: Server, net: list[float], line: float) -> None:
        self.server = server
        self.net = net
        self.line = line


@pytest.fixture(scope="module")
def languages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Languages]:
    for tool, package in (("Rscript", "r-base-core"), ("gcc", "gcc")):
        if shutil.which(tool) is None:
            pytest.skip(f"NO {tool}: install {package} to serve what needs it")
    folder = tmp_path_factory.mktemp("languages")
    (folder / "net").mkdir()
    python = framework_python("mxnet==1.9.1", "numpy<1.24", series="3.8")
    net = json.loads(run_in(python, NET, folder / "net" / "net").splitlines()[-1])
    (folder / "net" / "model.toml").write_text('[environment]\npython = "3.8"\n')
    told = subprocess.run(
        ["Rscript", "--vanilla", "-e", TREE, folder / "line.rds"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    shutil.copytree(EXAMPLE, folder / "linear", ignore=shutil.ignore_patterns("serve"))
    sources = sorted(path.name for path in EXAMPLE.glob("*.c"))
    subprocess.run(["gcc", "-O2", "-pthread", "-o", "serve", *sources], cwd=folder / "linear", check=True, timeout=100)
    (folder / "twice.py").write_text("def predict(x: float) -> float:\n    return 2 * x\n")
    paths = [folder / name for name in ("net", "line.rds", "linear", "twice.py")]
    with serving(*paths, folder=folder, wait="announced", interpreters=interpreter("3.8")) as server:
        server.wait_ready(BUILT_S)
        yield Languages(server, net, float(told.stdout))


def posted(server: Server, path: str, document: Any) -> Any:
    reply = server.post(path, json=document)
    assert reply.status_code == 200, reply.text
    return reply.json()


def over_native(server: Server, model: str, inputs: dict[str, Any]) -> Any:
    return posted(server, f"/api/v1/models/{model}/predict", {"inputs": inputs})["outputs"]


def over_tensorflow(server: Server, model: str, inputs: dict[str, Any]) -> Any:
    found = posted(server, f"/v1/models/{model}:predict", {"inputs": inputs})["outputs"]
    return found if isinstance(found, dict) else {"only": found}


def over_v2(server: Server, model: str, inputs: dict[str, Any]) -> Any:
    specs = server.get(f"/v2/models/{model}").json()["inputs"]
    rows = [
        {
            "name": row["name"],
            "datatype": row["datatype"],
            "shape": _shape(inputs[row["name"]]),
            "data": inputs[row["name"]],
        }
        for row in specs
    ]
    found = posted(server, f"/v2/models/{model}/infer", {"inputs": rows})["outputs"]
    return {row["name"]: row["data"] for row in found}


def _shape(values: Any) -> list[int]:
    return [len(values), *_shape(values[0])] if isinstance(values, list) else []


@pytest.mark.parametrize("ask", [over_native, over_tensorflow, over_v2])
def test_each_answers_as_its_own_framework_does(languages: Languages, ask: Callable[..., Any]) -> None:
    def only(model: str, inputs: dict[str, Any]) -> list[float]:
        (values,) = ask(languages.server, model, inputs).values()
        while isinstance(values[0], list):
            (values,) = values
        return list(values)

    assert only("net", {"x": [[1.5, -2]]}) == pytest.approx(languages.net[0], rel=1e-6)
    assert only("line", {"x": [2.5], "g": ["b"]}) == pytest.approx([languages.line], rel=1e-15)
    assert only("linear", {"x": [[1, 2]]}) == [0.5]
    assert only("twice", {"x": [4]}) == [8]


def test_each_says_in_what_it_runs(languages: Languages) -> None:
    told = {name: languages.server.version(name) for name in ("net", "line", "linear")}
    assert told["net"]["environment"].startswith("Python 3.8.")
    assert [told[name]["runtime"] for name in told] == ["mxnet", "r", "executable"]
    assert "building net version 1" in languages.server.printed


def test_the_callers_mistake_is_told_in_the_callers_terms(languages: Languages) -> None:
    reply = languages.server.post("/api/v1/models/line/predict", json={"inputs": {"x": [1], "g": ["z"]}})
    assert reply.status_code == 400
    assert "the model knows a, b" in reply.json()["error"]["message"]


@pytest.mark.parametrize("model", ["line", "linear"])
def test_one_that_is_killed_is_started_again(languages: Languages, model: str) -> None:
    (pid,) = languages.server.wait_for_workers(model, 1)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(children[0]) if children else pid, signal.SIGKILL)
    eventually(lambda: languages.server.worker_pids(model) not in ([], [pid]), 60.0, f"{model} has another process")
    inputs = {"x": [2.5], "g": ["b"]} if model == "line" else {"x": [[1, 2]]}
    assert over_native(languages.server, model, inputs)


def test_r_can_be_published_to_a_server_that_runs(languages: Languages, tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "predict.R").write_text("predict <- function(a, b = 1) list(sum = a + b)\n")
    command = [sys.executable, "-m", "salver", "push", tmp_path / "scores", "--wait", "60"]
    done = subprocess.run(
        [*map(str, command), "--data-dir", str(languages.server.data)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert over_native(languages.server, "scores", {"a": [1, 2]}) == {"sum": [2, 3]}


def test_a_program_that_was_published_may_still_be_run(languages: Languages, tmp_path: Path) -> None:
    linear = Path(languages.server.version("linear")["source"])
    shutil.copytree(linear, tmp_path / "pushed")
    manifest = tmp_path / "pushed" / "model.toml"
    manifest.write_text(manifest.read_text().replace('name = "linear"', 'name = "pushed"'))
    command = [sys.executable, "-m", "salver", "push", tmp_path / "pushed", "--wait", "60"]
    done = subprocess.run(
        [*map(str, command), "--data-dir", str(languages.server.data)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert over_native(languages.server, "pushed", {"x": [[1, 2]]}) == {"y": [[0.5]]}
