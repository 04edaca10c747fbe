"""What the MLmodel file of an MLflow model says: which of its flavours is served, and in which file that one lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import msgspec

from salver.models.foreign.base import Fate, Remark, refused, unserved

FILE_NAME = "MLmodel"
SERVER = "MLflow"
FLAVOURS = {
    "onnx": "data",
    "sklearn": "pickled_model",
    "xgboost": "data",
    "lightgbm": "data",
    "catboost": "data",
    "statsmodels": "data",
    "spacy": "data",
    "tensorflow": "data",
    "keras": "data",
    "transformers": "model_binary",
    "pytorch": "model_data",
}
"""Those that are served by themselves, the preferred one first, each with the key that names its file or folder."""
SAVED_MODEL = "saved_model_dir"
"""Of the flavour tensorflow: the folder of a model that is none of Keras."""
RUNTIMES = {"pytorch": "torch"}
"""Of flavours that are not called as the runtime is."""
PICKLED = frozenset({"sklearn", "statsmodels"})
"""Flavours whose files may need the Python files that were logged with the model."""
GENERAL = "python_function"
RUNTIME = "mlflow"
"""It serves the general flavour: the folder as a whole."""

_FIX = "Log the model with its flavour python_function, or wrap it in a Python file with a `predict` function."
_NEEDLESS = {
    "artifact_path", "model_uuid", "model_id", "run_id", "utc_time_created", "mlflow_version", "model_size_bytes",
    "metadata", "registered_model_name", "prompts", "params", "is_signature_from_type_hint", "type_hint_from_example",
    "env_vars", "auth_policy", "resources",
}  # fmt: skip


class MlflowModel(msgspec.Struct, frozen=True, kw_only=True):
    """One flavour of it."""

    runtime: str
    file: str
    """Below the model's folder; empty for the folder itself."""
    made_with: str
    remarks: tuple[Remark, ...]
    options: dict[str, Any] = {}
    """What the runtime is told."""


def read_model(raw: bytes, path: str) -> MlflowModel:
    """Raises LoadError: MANIFEST_INVALID, or FORMAT_UNKNOWN when no flavour is served."""
    document = _document(raw, path)
    flavours = document.get("flavors")
    if not isinstance(flavours, dict) or not all(isinstance(row, dict) for row in flavours.values()):
        raise refused(path, "it names no flavors", "Log the model again with MLflow.")
    flavour = next((name for name in FLAVOURS if name in flavours and not _needs_code(name, flavours)), None)
    if flavour is None and GENERAL in flavours:
        return _general(document, flavours)
    if flavour is None:
        raise unserved(path, f"MLflow's flavour {_special(flavours)}", _FIX)
    key = SAVED_MODEL if SAVED_MODEL in flavours[flavour] else FLAVOURS[flavour]
    file = flavours[flavour].get(key)
    if not isinstance(file, str) or PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts or not file:
        raise refused(path, f"flavors.{flavour}.{key} must name a file of the model's folder")
    version = flavours[flavour].get(f"{flavour}_version")
    task = flavours[flavour].get("task") if flavour == "transformers" else None
    return MlflowModel(
        runtime=RUNTIMES.get(flavour, flavour),
        file=file,
        made_with=f"{flavour} {version}" if isinstance(version, (str, float)) else flavour,
        remarks=tuple(_remarks(document, flavours, flavour)),
        options={"task": task} if isinstance(task, str) else {},
    )


def _needs_code(name: str, flavours: Mapping[str, Any]) -> bool:
    """Whether a pickle has Python files beside it, which only MLflow's own loader finds."""
    rows = (flavours[name], flavours.get(GENERAL, {}))
    return name in PICKLED and GENERAL in flavours and any(row.get("code") for row in rows)


def _general(document: Mapping[str, Any], flavours: Mapping[str, Any]) -> MlflowModel:
    return MlflowModel(
        runtime=RUNTIME,
        file="",
        made_with=f"{GENERAL} of {_special(flavours)}" if len(flavours) > 1 else _special(flavours),
        remarks=tuple(_remarks(document, flavours, RUNTIME)),
    )


def _document(raw: bytes, path: str) -> Mapping[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise refused(path, f"this is no YAML: {_first_line(str(error))}") from error
    if not isinstance(document, dict):
        raise refused(path, "it has no keys")
    return {str(key): value for key, value in document.items()}


def _first_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _special(flavours: Mapping[str, Any]) -> str:
    """The flavour that says most of the model, with what MLflow would open it with."""
    names = [name for name in flavours if name != GENERAL]
    if names:
        return ", ".join(map(str, names))
    loader = flavours.get(GENERAL, {}).get("loader_module", "")
    return f"{GENERAL} ({loader})" if loader else GENERAL


def _environment_files(env: object) -> list[str]:
    """The files that describe the environment: one, or one for each manager of environments."""
    named = env.values() if isinstance(env, dict) else [env]
    return [name for name in named if isinstance(name, str)]


def _remarks(document: Mapping[str, Any], flavours: Mapping[str, Any], served: str) -> Iterator[Remark]:
    yield from _flavour_remarks(flavours, served)
    for option in document:
        if option == "flavors":
            continue
        if option in _READ and served == RUNTIME:
            yield Remark(option, Fate.MAPPED, _READ[option])
        elif option == "signature":
            yield Remark(option, Fate.NEEDLESS, "the model's own signature holds")
        elif option in ("saved_input_example_info", "input_example"):
            text = "give it as the `example` of a model.toml, so that it is checked before the model goes live"
            yield Remark(option, Fate.UNSUPPORTED, text)
        elif option in _NEEDLESS:
            yield Remark(option, Fate.NEEDLESS, "it tells where the model comes from")
        else:
            yield Remark(option, Fate.UNSUPPORTED, "the key is not known")


_READ = {
    "signature": "requests are held to its inputs, and its parameters are taken from theirs",
    "saved_input_example_info": "it is run before the model goes live",
}
"""By the runtime of the general flavour alone."""


def _flavour_remarks(flavours: Mapping[str, Any], served: str) -> Iterator[Remark]:
    for name, flavour in flavours.items():
        if name == served:
            yield Remark(f"flavors.{name}", Fate.MAPPED, f"the runtime {RUNTIMES.get(served, served)}")
            if flavour.get("serialization_format") == "cloudpickle":
                text = "it is opened with the packages of the server's Python; cloudpickle must be among them"
                yield Remark(f"flavors.{name}.serialization_format", Fate.MAPPED, text)
        elif name == GENERAL:
            if flavour.get("env"):
                files = ", ".join(_environment_files(flavour["env"])) or "what it names"
                text = f"{files}: the files beside the model say what its environment is built of"
                yield Remark(f"flavors.{name}.env", Fate.MAPPED, text)
            if served == RUNTIME:
                yield Remark(f"flavors.{name}", Fate.MAPPED, f"the runtime {served}")
            else:
                yield Remark(f"flavors.{name}", Fate.NEEDLESS, f"the flavour {served} says the same more closely")
        else:
            chosen = GENERAL if served == RUNTIME else served
            yield Remark(f"flavors.{name}", Fate.NEEDLESS, f"the flavour {chosen} is served")
