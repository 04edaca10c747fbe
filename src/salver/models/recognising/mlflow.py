"""Folders that MLflow saved."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from salver.errors import Code, LoadError
from salver.models.foreign.beside import mlflow_model
from salver.models.foreign.mlflow import FILE_NAME as MLFLOW_FILE
from salver.models.recognising.base import Recognition
from salver_worker.runtimes.specs import spec_named

TORCH_FILES = ("model.pt2", "model.pth")
"""What MLflow calls a program of `torch.export`, and a module that is pickled or scripted."""


def recognise_mlflow(folder: Path) -> Recognition | None:
    """The flavour of an MLflow model that is served. Raises LoadError when none is."""
    if not (folder / MLFLOW_FILE).is_file():
        return None
    model = mlflow_model(folder)
    spec = spec_named(model.runtime)
    path = _opened(folder / model.file, model.runtime)
    if not path.exists():
        message = f"{folder / MLFLOW_FILE} names the file {model.file}, which is not there"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Copy the model's folder again, whole.")
    trust: Literal["data", "code"] = "data" if spec is not None and spec.trust == "data" else "code"
    return Recognition(
        runtime=model.runtime,
        artifact=path,
        trust=trust,
        label=f"MLflow model ({model.made_with})",
        remarks=model.remarks,
        options=model.options,
    )


def _opened(path: Path, runtime: str) -> Path:
    """The file in the folder of MLflow's that holds a model of PyTorch."""
    if runtime != "torch" or not path.is_dir():
        return path
    return next((path / name for name in TORCH_FILES if (path / name).is_file()), path / TORCH_FILES[0])
