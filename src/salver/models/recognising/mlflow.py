"""Folders that MLflow saved."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from salver.errors import Code, LoadError
from salver.models.foreign.beside import mlflow_model
from salver.models.foreign.mlflow import FILE_NAME as MLFLOW_FILE
from salver.models.pickles import HEAD_BYTES, pickle_kind
from salver.models.recognising.base import Recognition
from salver_worker.runtimes.specs import spec_named

TORCH_FILES = ("model.pt2", "model.pth")
"""What MLflow calls a program of `torch.export`, and a module that is pickled or scripted."""
KERAS_FORMS = {"model.keras": "keras", "model.h5": "keras", "model": "tensorflow"}
"""What MLflow calls a model of Keras, by the version of TensorFlow and by what it was told, and the runtime of each."""
MAYBE_PICKLED = frozenset({"xgboost", "lightgbm", "catboost"})
"""Flavours that keep an estimator of scikit-learn's kind as a pickle, and a booster in the library's own form."""


def recognise_mlflow(folder: Path) -> Recognition | None:
    """The flavour of an MLflow model that is served. Raises LoadError when none is."""
    if not (folder / MLFLOW_FILE).is_file():
        return None
    model = mlflow_model(folder)
    path, runtime = _saved(folder / model.file, model.runtime)
    if not path.exists():
        message = f"{folder / MLFLOW_FILE} names the file {model.file}, which is not there"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Copy the model's folder again, whole.")
    if runtime in MAYBE_PICKLED and _is_pickle(path):
        runtime = "sklearn"
    spec = spec_named(runtime)
    trust: Literal["data", "code"] = "data" if spec is not None and spec.trust == "data" else "code"
    return Recognition(
        runtime=runtime,
        artifact=path,
        trust=trust,
        label=f"MLflow model ({model.made_with})",
        remarks=model.remarks,
        options=model.options,
    )


def _saved(path: Path, runtime: str) -> tuple[Path, str]:
    """The model itself, and what opens it: in their folder those of Keras have one of three forms, PyTorch's of two."""
    if runtime in ("tensorflow", "keras"):
        for name, opener in KERAS_FORMS.items():
            if (path / name).exists():
                return path / name, opener
    if runtime == "torch" and path.is_dir():
        return next((path / name for name in TORCH_FILES if (path / name).is_file()), path / TORCH_FILES[0]), runtime
    return path, runtime


def _is_pickle(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return pickle_kind(file.read(HEAD_BYTES)) is not None
