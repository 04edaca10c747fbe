"""What knows the files and folders of each runtime, by the runtime's name, in the order in which they are asked.

A runtime that is added has a file beside this one and a row in FILES or FOLDERS, or in both.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from salver.models.recognising.archives import recognise_packed, recognise_unpacked
from salver.models.recognising.base import FileView, Recognition
from salver.models.recognising.catboost import recognise_catboost
from salver.models.recognising.jax import recognise_jax
from salver.models.recognising.keras import recognise_keras
from salver.models.recognising.lightgbm import recognise_lightgbm
from salver.models.recognising.mlflow import recognise_mlflow
from salver.models.recognising.mxnet import recognise_mxnet
from salver.models.recognising.onnx import recognise_onnx
from salver.models.recognising.pmml import recognise_pmml
from salver.models.recognising.python import recognise_echo, recognise_python
from salver.models.recognising.r import recognise_r, recognise_r_folder
from salver.models.recognising.sklearn import recognise_sklearn
from salver.models.recognising.spacy import recognise_spacy
from salver.models.recognising.statsmodels import recognise_statsmodels
from salver.models.recognising.tensorflow import (
    recognise_graph_of_saved_model,
    recognise_lite,
    recognise_saved_model,
)
from salver.models.recognising.torch import recognise_torch
from salver.models.recognising.transformers import recognise_transformers
from salver.models.recognising.xgboost import recognise_xgboost

FILES: dict[str, Callable[[FileView, str | None], Recognition | None]] = {
    "echo": recognise_echo,
    "function": recognise_python,
    "tensorflow": recognise_graph_of_saved_model,
    "tflite": recognise_lite,
    "keras": recognise_keras,
    "jax": recognise_jax,
    "onnx": recognise_onnx,
    "mar": recognise_packed,
    "torch": recognise_torch,
    "xgboost": recognise_xgboost,
    "lightgbm": recognise_lightgbm,
    "catboost": recognise_catboost,
    "pmml": recognise_pmml,
    "statsmodels": recognise_statsmodels,
    "sklearn": recognise_sklearn,
    "mxnet": recognise_mxnet,
    "r": recognise_r,
}
"""They are given the function of a Python file that the user names."""
FOLDERS: dict[str, Callable[[Path], Recognition | None]] = {
    "mlflow": recognise_mlflow,
    "tensorflow": recognise_saved_model,
    "mar": recognise_unpacked,
    "transformers": recognise_transformers,
    "r": recognise_r_folder,
    "spacy": recognise_spacy,
}
"""Of folders that are one artefact as a whole; "mlflow" knows whatever flavour is served."""
