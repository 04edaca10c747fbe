"""How each framework saves its models: with its own saver, into the form that its runtime opens. One row each.

No framework is imported to find out whether a model is one of its: the names of its classes tell.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from salver_client.packaging.base import failed
from salver_client.packaging.exports import (
    argument_names,
    save_exported,
    save_jitted,
    save_tensorflow,
    save_torch,
    scripted_names,
)

Example = Any
Save = Callable[[Any, Path, Example], str]


def _always(_model: Any) -> bool:
    return True


def _nothing(_model: Any) -> Mapping[str, Any]:
    return {}


def _nameless(_model: Any) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Saver:
    """One kind of model: a class of this name, of this module or one below it, is among its ancestors.

    `save` writes it into a folder and returns the name of the file, or folder, that it wrote. `needs` are the modules
    with which it is opened again; `is_pickled` adds those that its objects are made of. `fits` looks closer at a model
    of these classes. `options` is what the runtime is told in model.toml, `names` the inputs in the order of an example
    that names none.
    """

    module: str
    classes: tuple[str, ...]
    save: Save
    needs: tuple[str, ...]
    is_pickled: bool = False
    fits: Callable[[Any], bool] = _always
    options: Callable[[Any], Mapping[str, Any]] = _nothing
    names: Callable[[Any], Sequence[str]] = _nameless

    def takes(self, model: Any) -> bool:
        is_of_class = any(
            kind.__name__ in self.classes and f"{kind.__module__}.".startswith(f"{self.module}.")
            for kind in type(model).__mro__
        )
        return is_of_class and self.fits(model)


def saver_of(model: Any) -> Saver | None:
    return next((saver for saver in SAVERS if saver.takes(model)), None)


def modules_of(model: Any, saver: Saver) -> set[str]:
    """The first parts of the names of all modules that are needed to open it."""
    found = set(saver.needs)
    if saver.is_pickled:
        found |= pickled_modules(model)
    if saver.module == "keras":
        found.add(str(_module("keras").backend.backend()))
    if saver.module == "spacy":
        found |= {type(component).__module__ for _name, component in model.pipeline}
    if "sklearn" in saver.needs and getattr(model, "feature_names_in_", None) is not None:
        found.add("pandas")
    if saver.module == "transformers":
        found.add("torch" if getattr(model, "framework", "pt") == "pt" else "tensorflow")
    return {name.partition(".")[0] for name in found}


def pickled_modules(model: Any) -> set[str]:
    """The modules of all classes and functions that a pickle of the model names."""
    seen = _Seen()
    try:
        seen.dump(model)
    except Exception as error:
        raise failed(
            f"The model cannot be pickled: {error}.", "Replace lambdas and open files in it by functions of a module."
        ) from error
    if "__main__" in seen.modules:
        raise failed(
            f"The model is made of {', '.join(sorted(seen.of_main))}, which is defined in the main module "
            "of this program, and another program serves it.",
            "Move it to a file of its own, import it from there, and make the model anew.",
        )
    return seen.modules


class _Sink(io.RawIOBase):
    """Takes everything and keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)


class _Seen(pickle.Pickler):
    """Looks at every object that a pickle would hold."""

    def __init__(self) -> None:
        super().__init__(_Sink(), protocol=pickle.HIGHEST_PROTOCOL)
        self.modules: set[str] = set()
        self.of_main: set[str] = set()

    def persistent_id(self, object: Any) -> None:
        named = object if isinstance(object, type) or callable(object) else type(object)
        module = getattr(named, "__module__", None) or ""
        if module == "__main__":
            self.of_main.add(getattr(named, "__qualname__", "something"))
        if module:
            self.modules.add(module.partition(".")[0])


# Savers


def _has_own_classes(model: Any) -> bool:
    """Whether it answers other classes than 0, 1, 2 and so on, which its booster has only the places of."""
    classes = getattr(model, "classes_", None)
    return classes is not None and [str(each) for each in classes] != [str(each) for each in range(len(classes))]


def _is_more_than_its_booster(model: Any) -> bool:
    """Whether it has classes of its own, or another value than NaN that is missing."""
    missing = getattr(model, "missing", None)
    is_usual = missing is None or missing != missing
    return not is_usual or _has_own_classes(model)


def _joblib(model: Any, folder: Path, _example: Example) -> str:
    _module("joblib").dump(model, folder / "model.joblib")
    return "model.joblib"


def _pickle(model: Any, folder: Path, _example: Example) -> str:
    model.save(str(folder / "model.pickle"))
    return "model.pickle"


def _xgboost(model: Any, folder: Path, _example: Example) -> str:
    model.save_model(folder / "model.ubj")
    return "model.ubj"


def _lightgbm(model: Any, folder: Path, _example: Example) -> str:
    getattr(model, "booster_", model).save_model(str(folder / "model.txt"))
    return "model.txt"


def _catboost(model: Any, folder: Path, _example: Example) -> str:
    model.save_model(str(folder / "model.cbm"), format="cbm")
    return "model.cbm"


def _keras(model: Any, folder: Path, _example: Example) -> str:
    model.save(str(folder / "model.keras"))
    return "model.keras"


def _torchscript(model: Any, folder: Path, _example: Example) -> str:
    model.save(str(folder / "model.pt"))
    return "model.pt"


def _onnx(model: Any, folder: Path, _example: Example) -> str:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return "model.onnx"


def _pretrained(model: Any, folder: Path, _example: Example) -> str:
    model.save_pretrained(str(folder / "model"))
    return "model"


def _to_disk(model: Any, folder: Path, _example: Example) -> str:
    model.to_disk(folder / "model")
    return "model"


def _mxnet_block(model: Any, folder: Path, _example: Example) -> str:
    model.export(str(folder / "model"))
    return "model-symbol.json"


def _mxnet_module(model: Any, folder: Path, _example: Example) -> str:
    model.save_checkpoint(str(folder / "model"), 0)
    return "model-symbol.json"


def _jax(model: Any, folder: Path, _example: Example) -> str:
    (folder / "model.jax").write_bytes(model.serialize())
    return "model.jax"


def _module(name: str) -> Any:
    """A framework that made the model, and so is there."""
    return sys.modules.get(name) or importlib.import_module(name)


def _task(pipeline: Any) -> Mapping[str, Any]:
    return {"task": str(pipeline.task)}


_PICKLED = ("sklearn", "joblib")
SAVERS: Sequence[Saver] = (
    Saver("xgboost", ("XGBModel",), _joblib, ("xgboost", *_PICKLED), is_pickled=True, fits=_is_more_than_its_booster),
    Saver("xgboost", ("Booster", "XGBModel"), _xgboost, ("xgboost",)),
    Saver("lightgbm", ("LGBMModel",), _joblib, ("lightgbm", *_PICKLED), is_pickled=True, fits=_has_own_classes),
    Saver("lightgbm", ("Booster", "LGBMModel"), _lightgbm, ("lightgbm",)),
    Saver("catboost", ("CatBoost",), _catboost, ("catboost",)),
    Saver("transformers", ("Pipeline",), _pretrained, ("transformers",), options=_task),
    Saver("spacy", ("Language",), _to_disk, ("spacy",)),
    Saver("statsmodels", ("Results", "ResultsWrapper"), _pickle, ("statsmodels",), is_pickled=True),
    Saver("sklearn", ("BaseEstimator",), _joblib, _PICKLED, is_pickled=True),
    Saver("keras", ("Model",), _keras, ("keras",)),
    Saver("tensorflow", ("Module", "AutoTrackable"), save_tensorflow, ("tensorflow",)),
    Saver("torch", ("ScriptModule",), _torchscript, ("torch",), names=scripted_names),
    Saver("torch", ("ExportedProgram",), save_exported, ("torch",)),
    Saver("torch", ("Module",), save_torch, ("torch",), names=argument_names),
    Saver("onnx", ("ModelProto",), _onnx, ()),
    Saver("jax", ("Exported",), _jax, ("jax",)),
    Saver("jaxlib", ("PjitFunction",), save_jitted, ("jax",)),
    Saver("mxnet", ("HybridBlock",), _mxnet_block, ("mxnet",)),
    Saver("mxnet", ("Module",), _mxnet_module, ("mxnet",)),
)
"""In the order in which they are asked: what builds on scikit-learn's classes comes before it."""
