"""A model as MLflow itself saves one: MLflow lives in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from salver.importers.base import Fate
from salver.models.discovery import discover

SAVE = """
import sys, mlflow.sklearn, numpy as np
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [3.0, 1.0]])
model = LogisticRegression().fit(x, [0, 1, 0, 1])
signature = infer_signature(x, model.predict(x))
for form in ("skops", "cloudpickle"):
    mlflow.sklearn.save_model(model, f"{sys.argv[1]}/{form}/iris", signature=signature, serialization_format=form)
"""


@pytest.fixture(scope="session")
def mlflow_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow") / "venv"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=100)
    python = folder / "bin" / "python"
    packages = ["mlflow-skinny", "scikit-learn", "skops", "pandas"]
    ran = subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *packages], check=False, timeout=500)
    if ran.returncode:
        pytest.skip("NO MLFLOW: the package index does not have it")
    return python


@pytest.fixture(scope="session")
def saved(mlflow_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One model in each form, all from one start of MLflow, which takes most of the time."""
    folder = tmp_path_factory.mktemp("saved")
    subprocess.run([mlflow_python, "-c", SAVE, folder], check=True, timeout=300, cwd=folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("form", ["skops", "cloudpickle"])
def test_what_mlflow_saves_is_served(saved: Path, read, tmp_path: Path, form: str) -> None:
    model = saved / form / "iris"
    (found,) = discover([str(model)], tmp_path / "artifacts").models
    assert (found.name, found.recognition.runtime) == ("iris", "sklearn")
    imported = read(model)
    assert imported.models[0].is_whole
    assert not [remark for remark in imported.models[0].remarks if remark.text == "the key is not known"]
    assert any(remark.fate is Fate.MAPPED for remark in imported.models[0].remarks)
