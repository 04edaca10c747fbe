"""Models that lie in files and folders: packed by their path, pushed, and asked as they were before."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from journey_server import Server, plain_environment, serving

import salver_client
from framework_environments import framework_python, run_in
from salver_client import Client, How

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # packages are fetched and installed
BUILT_S = 600.0
EXECUTABLE = Path(__file__).resolve().parents[2] / "examples" / "executable"
MLFLOW = ("mlflow-skinny==3.17.2", "pandas", "cloudpickle")
LOGGED = """
import sys
import mlflow.pyfunc, numpy as np
from mlflow.models import ModelSignature
from mlflow.types.schema import Schema, TensorSpec
class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input):
        return model_input.sum(axis=1)
one, two = (TensorSpec(np.dtype("float64"), shape) for shape in ((-1, 2), (-1,)))
mlflow.pyfunc.save_model(sys.argv[1], python_model=Sum(), signature=ModelSignature(Schema([one]), Schema([two])),
                         pip_requirements=["mlflow-skinny==3.17.2", "pandas", "cloudpickle"])
"""
LINE = "saveRDS(lm(y ~ x, data.frame(x = c(1, 2, 4), y = c(2, 4, 8))), commandArgs(TRUE)[1])"
CODE = """
load_model <- function(folder) readRDS(file.path(folder, "weights.rds"))
inputs <- data.frame(x = numeric())
outputs <- list(y = numeric())
predict <- function(model, rows) list(y = rows$x * model)
"""
HANDLER = (
    "def handle(data, context):\n    return None if data is None else [{'n': int(row['body']) * 2} for row in data]\n"
)


class Model(NamedTuple):
    """`make` writes it into a folder and gives the path; what is asked, and what it answers."""

    make: Callable[[Path], Path]
    runtime: str
    asked: Any
    answer: Any
    has_example: bool = True
    """A handler and the program in C take none."""


def rscript(code: str, *arguments: Path) -> None:
    program = shutil.which("Rscript")
    if program is None:
        pytest.skip("NO R: install r-base-core to test what is about it")
    subprocess.run([program, "--vanilla", "-e", code, *map(str, arguments)], check=True, timeout=300)


def line(folder: Path) -> Path:
    rscript(LINE, folder / "line.rds")
    return folder / "line.rds"


def code_of_r(folder: Path) -> Path:
    rscript("saveRDS(3, commandArgs(TRUE)[1])", folder / "weights.rds")
    (folder / "predict.R").write_text(CODE)
    return folder


def program(folder: Path) -> Path:
    if shutil.which("make") is None or shutil.which("gcc") is None:
        pytest.skip("NO GCC: install it to test a program that is a worker")
    shutil.copytree(EXECUTABLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("serve"))
    subprocess.run(["make", "--silent"], cwd=folder, check=True, timeout=100)
    return folder


def archive(folder: Path) -> Path:
    home = folder / "handler"
    (home / "MAR-INF").mkdir(parents=True)
    (home / "MAR-INF" / "MANIFEST.json").write_text(
        json.dumps({"model": {"modelName": "twice", "handler": "service.py"}})
    )
    (home / "service.py").write_text(HANDLER)
    return Path(shutil.make_archive(str(folder / "twice"), "zip", home)).rename(folder / "twice.mar")


def logged(folder: Path) -> Path:
    run_in(framework_python(*MLFLOW), LOGGED, folder / "model")
    return folder / "model"


TABLE = {"x": [[1.0, 2.0], [3.0, 4.0]]}
MODELS = {
    "line": Model(line, "r", {"x": [3.0]}, {"prediction": [6.0]}),
    "code": Model(code_of_r, "r", {"x": [1.0, 2.0]}, {"y": [3.0, 6.0]}),
    "program": Model(program, "executable", TABLE, None, has_example=False),
    "twice": Model(archive, "mar", b"21", {"n": 42}, has_example=False),
    "logged": Model(logged, "mlflow", [[1.0, 2.0], [3.0, 4.0]], {"prediction": [3.0, 7.0]}),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder=folder, wait="announced", environments_dir=folder / "environments") as running:
        yield running


@pytest.mark.parametrize("name", MODELS)
def test_a_path_is_packed_and_answers(
    served: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[name]
    for key in list(plain_environment()):
        if key.startswith("SALVER_"):
            monkeypatch.delenv(key)
    monkeypatch.setenv("SALVER_DATA_DIR", str(tmp_path / "shell"))
    monkeypatch.setenv("SALVER_ENVIRONMENTS_DIR", str(served.data.parent / "environments"))
    (tmp_path / "made").mkdir()
    example = model.asked if model.has_example else None
    made = salver_client.package(model.make(tmp_path / "made"), tmp_path / "m.salver", name=name, example=example)
    assert (made.is_locked, made.is_proved) == (True, True)
    key = served.admin["Authorization"].split()[1]
    with Client(served.url, key) as client:
        outcome = made.push(client, how=How(wait_s=BUILT_S))
        assert (outcome.digest, outcome.failures) == (made.digest, ())
        assert client.model(name).versions[0].runtime == model.runtime
        answer = client.predict(name, model.asked)
    found = dict(answer.outputs) if answer.body is None else json.loads(answer.body)
    expected = model.answer or {"y": weighted(tmp_path / "made" / "weights.txt", TABLE["x"])}
    assert set(found) == set(expected)
    for output, values in expected.items():
        np.testing.assert_allclose(found[output], values, rtol=1e-6)


def weighted(file: Path, rows: list[list[float]]) -> list[list[float]]:
    """What the program in C computes: for each output a constant, and a weight for each input."""
    inputs, outputs, *numbers = map(float, file.read_text().split())
    width = int(inputs) + 1
    weights = [numbers[place * width : (place + 1) * width] for place in range(int(outputs))]
    return [[each[0] + sum(w * x for w, x in zip(each[1:], row, strict=True)) for each in weights] for row in rows]
