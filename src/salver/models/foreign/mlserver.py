"""What MLServer's model-settings.json says of a model, in our words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from salver.models.foreign.base import Declared, Fate, Remark, refused, unserved
from salver.models.manifest import BatchingSection, Manifest
from salver.models.marfile import version_number

FILE_NAME = "model-settings.json"
SERVER = "MLServer"
FILES = (
    "model.joblib",
    "model.pickle",
    "model.pkl",
    "model.onnx",
    "model.bst",
    "model.json",
    "model.ubj",
    "model.cbm",
    "model.bin",
    "model",
)
"""What is looked for beside the settings where they name no file."""

_RUNTIMES = {
    "mlserver_sklearn": "sklearn",
    "mlserver_onnx": "onnx",
    "mlserver_xgboost": "xgboost",
    "mlserver_lightgbm": "lightgbm",
    "mlserver_catboost": "catboost",
    "mlserver_huggingface": "transformers",
}
_FOLDERS = {"mlserver_mlflow": "an MLflow model"}
_OTHERS = {
    "mlserver_mllib": "Spark's MLlib",
    "mlserver_alibi_detect": "Alibi Detect", "mlserver_alibi_explain": "Alibi Explain",
}  # fmt: skip
_FIX = "Export the model to ONNX, or wrap it in a Python file with a `predict` function."
_ESTIMATORS = {"label": "predict", "prediction": "predict", "probabilities": "predict_proba"}
_RENAMED = {
    "sklearn": _ESTIMATORS,
    "xgboost": _ESTIMATORS,
    "catboost": _ESTIMATORS,
    "lightgbm": {"prediction": "predict", "probabilities": "predict"},
}
"""MLServer's runtimes call their outputs by the methods that they call; a booster of LightGBM has the one."""

_NEEDLESS = {
    "platform": "text for people",
    "versions": "the versions that there are, are shown",
    "parallel_workers": "every model has processes of its own; `replicas` says how many",
    "warm_workers": "a worker answers once it is warm",
}


class _Parameters(msgspec.Struct):
    uri: str | None = None
    version: str | None = None
    content_type: str | None = None
    environment_tarball: str | None = None
    environment_path: str | None = None
    format: str | None = None
    extra: dict[str, Any] | None = None
    inference_pool_gid: str | None = None
    autogenerate_inference_pool_gid: bool | None = None


class Settings(msgspec.Struct):
    """The keys of the file. `implementation_` is what Python writes where `implementation` is taken."""

    name: str = ""
    implementation: str = ""
    platform: str = ""
    versions: list[str] = []
    inputs: list[dict[str, Any]] = []
    outputs: list[dict[str, Any]] = []
    parallel_workers: int | None = None
    warm_workers: bool = False
    max_batch_size: int = 0
    max_batch_time: float = 0.0
    cache_enabled: bool = False
    parameters: _Parameters | None = None


def declared(raw: bytes, path: str) -> Declared:
    """Raises LoadError: MANIFEST_INVALID, or FORMAT_UNKNOWN where a runtime lacks."""
    try:
        document = msgspec.json.decode(raw, type=dict[str, Any])
        settings = msgspec.convert(document, Settings)
    except msgspec.DecodeError as error:
        raise refused(path, str(error)) from error
    parameters = settings.parameters or _Parameters()
    runtime = _runtime(settings.implementation, path)
    options = _options(parameters.extra or {}) if runtime == "transformers" else {}
    return Declared(
        server=SERVER,
        version=_number(parameters.version) if parameters.version else None,
        manifest=Manifest(
            name=settings.name or None,
            artifact=_artifact(parameters.uri or _pretrained(parameters.extra, path), path),
            runtime={"name": runtime, **options} if runtime and options else runtime,
            batching=BatchingSection(
                max_batch_rows=max(1, settings.max_batch_size) if settings.max_batch_size else None,
                max_batch_delay_ms=settings.max_batch_time * 1000 if settings.max_batch_time > 0 else None,
            ),
        ),
        checks={"file": FILE_NAME, "rename": _RENAMED[runtime]} if runtime in _RENAMED else {},
        remarks=tuple(_remarks(document, runtime)),
    )


def _number(version: str) -> int:
    """`v2.1` is 2; `v0.1` and what has no number in front are 1."""
    return max(1, version_number(version.lstrip("vV")))


def _runtime(implementation: str, path: str) -> str | None:
    """None: whatever the files turn out to be."""
    package, _, _name = implementation.partition(".")
    if not implementation or package in _FOLDERS:
        return None
    if package in _RUNTIMES:
        return _RUNTIMES[package]
    if package in _OTHERS:
        raise unserved(path, f"MLServer's runtime for {_OTHERS[package]} ({implementation})", _FIX)
    raise unserved(path, f"code of MLServer's kind ({implementation})", _FIX)


def _options(extra: dict[str, Any]) -> dict[str, Any]:
    """What MLServer's runtime for Hugging Face is told, and ours knows too."""
    device = extra.get("device")
    found = {"task": extra.get("task"), "device": "cpu" if device in (-1, "-1") else device}
    return {name: value for name, value in found.items() if isinstance(value, str) and value}


def _pretrained(extra: dict[str, Any] | None, path: str) -> str | None:
    """A model that is fetched as it is loaded, there; nothing is, here."""
    name = (extra or {}).get("pretrained_model")
    if not isinstance(name, str) or name.startswith("./"):
        return name if isinstance(name, str) else None
    fix = "Save the model with `save_pretrained` into a folder beside the settings, and name that in parameters.uri."
    raise unserved(path, f"the model {name} of the Hugging Face Hub", fix)


def _artifact(uri: str | None, path: str) -> str | None:
    """A file below the settings' folder; who serves a folder gives away what is in it and no more."""
    if not uri:
        return None
    plain = re.sub(r"^(?:file://)?(?:\./)*", "", uri).rstrip("/")
    if "://" in uri and not uri.startswith("file://"):
        fix = "Fetch the file, put it beside the settings and name it there."
        raise unserved(path, f"a place outside of this machine ({uri.partition('?')[0]})", fix)
    if plain.startswith("/") or ".." in plain.split("/"):
        fix = "Put the file beside the settings, or below them, and name it from there."
        raise refused(path, f"parameters.uri names {uri}, which lies outside of the model's folder", fix)
    return None if plain in ("", ".") else plain


def _remarks(document: dict[str, Any], runtime: str | None) -> Iterator[Remark]:
    """One for each key that is set, and for some one for each of its parts."""
    for option, value in document.items():
        if option in _NEEDLESS:
            yield Remark(option, Fate.NEEDLESS, _NEEDLESS[option])
        elif option == "parameters":
            yield from _parameters(value, runtime)
        elif option in ("inputs", "outputs"):
            text = "the model's own signature holds; MLServer does not hold requests to these either"
            yield Remark(option, Fate.NEEDLESS, text)
        elif option == "cache_enabled":
            fate = Fate.UNSUPPORTED if value else Fate.NEEDLESS
            yield Remark(option, fate, "answers are not cached")
        elif option in _MAPPED:
            yield Remark(option, Fate.MAPPED, _MAPPED[option].format(value=value, runtime=runtime or "as recognised"))
        else:
            yield Remark(option, Fate.UNSUPPORTED, "the key is not known")
    if runtime == "transformers":
        text = "labels, scores and texts are tensors of their own; MLServer answers JSON in one that is called `output`"
        yield Remark("outputs' names", Fate.UNSUPPORTED, text)
    if runtime in _RENAMED:
        names = " and ".join(f"`{name}`" for name in dict.fromkeys(_RENAMED[runtime].values()))
        more = "; both are answered unless one is asked" if " and " in names else "; classifiers answer `label` as well"
        yield Remark("outputs' names", Fate.MAPPED, names + more)


_MAPPED = {
    "name": "the model's name",
    "implementation": "the runtime {runtime}",
    "max_batch_size": "batching.max_batch_rows = {value} (0: the server's setting)",
    "max_batch_time": "batching.max_batch_delay_ms (here in milliseconds): {value} s",
}


_EXTRA = {"task": "runtime.task = {}", "device": "runtime.device = {}", "pretrained_model": "artifact = {}"}


def _extra(value: dict[str, Any]) -> Iterator[Remark]:
    """Of the runtime for Hugging Face, whose variables and file of settings may say the same."""
    for name, inner in value.items():
        fate = Fate.MAPPED if name in _EXTRA else Fate.UNSUPPORTED
        text = _EXTRA.get(name, "the runtime has no such parameter").format(inner)
        yield Remark(f"parameters.extra.{name}", fate, text)


def _parameters(value: Any, runtime: str | None) -> Iterator[Remark]:
    for name, inner in (value or {}).items():
        option = f"parameters.{name}"
        if inner is None:
            continue
        if name == "uri":
            yield Remark(option, Fate.MAPPED, f"artifact = {inner}")
        elif name == "version":
            text = f"version {_number(str(inner))}; versions are whole numbers here"
            yield Remark(option, Fate.MAPPED, text)
        elif name == "extra" and runtime == "transformers":
            yield from _extra(inner)
        elif name == "content_type":
            yield Remark(option, Fate.NEEDLESS, "tensors are read by the datatype that the model's signature has")
        elif name in ("environment_tarball", "environment_path"):
            text = f"{inner} is not used; write a requirements.txt beside the model, or name a Python in a model.toml"
            yield Remark(option, Fate.UNSUPPORTED, text)
        elif name.endswith("inference_pool_gid"):
            yield Remark(option, Fate.NEEDLESS, "every model has processes of its own")
        else:
            yield Remark(option, Fate.UNSUPPORTED, "no runtime here has such a parameter")
