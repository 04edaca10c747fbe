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

Example = Any
Save = Callable[[Any, Path, Example], str]


@dataclass(frozen=True, slots=True)
class Saver:
    """One kind of model: a class of this name, of this module or one below it, is among its ancestors.

    `save` writes it into a folder and returns the name of the file, or folder, that it wrote. `needs` are the modules
    with which it is opened again; `is_pickled` adds those that its objects are made of.
    """

    module: str
    classes: tuple[str, ...]
    save: Save
    needs: tuple[str, ...]
    is_pickled: bool = False

    def takes(self, model: Any) -> bool:
        return any(
            kind.__name__ in self.classes and f"{kind.__module__}.".startswith(f"{self.module}.")
            for kind in type(model).__mro__
        )


def saver_of(model: Any) -> Saver | None:
    return next((saver for saver in SAVERS if saver.takes(model)), None)


def modules_of(model: Any, saver: Saver) -> set[str]:
    """The first parts of the names of all modules that are needed to open it."""
    found = set(saver.needs)
    if saver.is_pickled:
        found |= pickled_modules(model)
    if saver.module == "keras":
        found.add(str(_module("keras").backend.backend()))
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


def _tensorflow(model: Any, folder: Path, _example: Example) -> str:
    _module("tensorflow").saved_model.save(model, str(folder / "model"))
    return "model"


def _torchscript(model: Any, folder: Path, _example: Example) -> str:
    model.save(str(folder / "model.pt"))
    return "model.pt"


def _exported(program: Any, folder: Path, _example: Example) -> str:
    _module("torch.export").save(program, str(folder / "model.pt2"))
    return "model.pt2"


def _torch(model: Any, folder: Path, example: Example) -> str:
    """As a program with any number of rows."""
    torch = _module("torch")
    if example is None:
        raise failed(
            "A PyTorch module is exported by running it once, and there is no example.",
            "Give `example`, one input with its rows, or hand over what `torch.export` or `torch.jit` made.",
        )
    arguments, named = _torch_inputs(torch, example)
    rows = torch.export.Dim("rows")
    is_free = all(tensor.dim() and tensor.shape[0] > 1 for tensor in (*arguments, *named.values()))
    shapes = (*({0: rows} for _ in arguments), *({0: rows} for _ in named)) if is_free else None
    if not is_free:
        raise failed(
            "The example has one row, and a program that is exported from one takes one.", "Give two rows or more."
        )
    was_training = model.training
    model.eval()
    try:
        dynamic = dict(zip(named, shapes, strict=True)) if named else shapes  # type: ignore[arg-type]
        program = torch.export.export(model, arguments, named or None, dynamic_shapes=dynamic)
    except Exception as error:
        raise failed(
            f"torch.export cannot make a program of the module: {error}",
            "Hand over what `torch.jit.script` or `torch.jit.trace` made of it, or a Python function that calls it.",
        ) from error
    finally:
        model.train(was_training)
    return _exported(program, folder, None)


def _torch_inputs(torch: Any, example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def tensor(value: Any) -> Any:
        return value if isinstance(value, torch.Tensor) else torch.as_tensor(value)

    if isinstance(example, Mapping):
        return (), {str(name): tensor(value) for name, value in example.items()}
    if isinstance(example, tuple):
        return tuple(map(tensor, example)), {}
    value = tensor(example)
    return (value.float() if value.dtype == torch.float64 else value,), {}


def _onnx(model: Any, folder: Path, _example: Example) -> str:
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return "model.onnx"


def _pretrained(model: Any, folder: Path, _example: Example) -> str:
    model.save_pretrained(str(folder / "model"))
    return "model"


def _to_disk(model: Any, folder: Path, _example: Example) -> str:
    model.to_disk(folder / "model")
    return "model"


def _jax(model: Any, folder: Path, _example: Example) -> str:
    (folder / "model.jax").write_bytes(model.serialize())
    return "model.jax"


def _module(name: str) -> Any:
    """A framework that made the model, and so is there."""
    return sys.modules.get(name) or importlib.import_module(name)


SAVERS: Sequence[Saver] = (
    Saver("xgboost", ("Booster", "XGBModel"), _xgboost, ("xgboost",)),
    Saver("lightgbm", ("Booster", "LGBMModel"), _lightgbm, ("lightgbm",)),
    Saver("catboost", ("CatBoost",), _catboost, ("catboost",)),
    Saver("transformers", ("Pipeline",), _pretrained, ("transformers",)),
    Saver("spacy", ("Language",), _to_disk, ("spacy",)),
    Saver("statsmodels", ("Results", "ResultsWrapper"), _pickle, ("statsmodels",), is_pickled=True),
    Saver("sklearn", ("BaseEstimator",), _joblib, ("sklearn", "joblib"), is_pickled=True),
    Saver("keras", ("Model",), _keras, ("keras",)),
    Saver("tensorflow", ("Module", "AutoTrackable"), _tensorflow, ("tensorflow",)),
    Saver("torch", ("ScriptModule",), _torchscript, ("torch",)),
    Saver("torch", ("ExportedProgram",), _exported, ("torch",)),
    Saver("torch", ("Module",), _torch, ("torch",)),
    Saver("onnx", ("ModelProto",), _onnx, ("onnxruntime",)),
    Saver("jax", ("Exported",), _jax, ("jax",)),
)
"""In the order in which they are asked: what builds on scikit-learn's classes comes before it."""
