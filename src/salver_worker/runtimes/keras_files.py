"""What the files of Keras say of themselves, without Keras: which one saved them, and whether they bring code along."""

from __future__ import annotations

import json
import zipfile
from typing import Any, Dict, Iterator, List

CONFIG, METADATA = "config.json", "metadata.json"
CODE = "__lambda__"
LAMBDA_FIX = (
    "Put a layer of Keras, or a registered class, in its place; or export the model with `model.export(folder)` and "
    "serve that SavedModel."
)


def saved_with(path: str) -> str:
    """The version of Keras that saved the file; empty where it does not say."""
    if zipfile.is_zipfile(path):
        version = _member(path, METADATA).get("keras_version", "")
        return version if isinstance(version, str) else ""
    return _attribute(path, "keras_version")


def names_of_lambdas(path: str) -> List[str]:
    """The layers whose code lies in the file."""
    if zipfile.is_zipfile(path):
        return list(_lambdas(_member(path, CONFIG)))
    config = _attribute(path, "model_config")
    return list(_lambdas(json.loads(config))) if config else []


def _member(path: str, name: str) -> Dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        if name not in archive.namelist():
            return {}
        document = json.loads(archive.read(name))
    return document if isinstance(document, dict) else {}


def _attribute(path: str, name: str) -> str:
    import h5py

    with h5py.File(path, "r") as file:
        value = file.attrs.get(name, "")
    return value.decode() if isinstance(value, bytes) else str(value)


def _lambdas(config: Any) -> Iterator[str]:
    """Layers are anywhere in a configuration: models are layers of other models."""
    if isinstance(config, dict):
        inner = config.get("config")
        if config.get("class_name") == "Lambda" and isinstance(inner, dict) and _has_code(inner.get("function")):
            yield str(inner.get("name", ""))
        for value in config.values():
            yield from _lambdas(value)
    elif isinstance(config, list):
        for value in config:
            yield from _lambdas(value)


def _has_code(function: Any) -> bool:
    """A name alone is looked up; Keras 2 has its bytecode in a list, Keras 3 in an object."""
    return isinstance(function, list) or (isinstance(function, dict) and function.get("class_name") == CODE)
