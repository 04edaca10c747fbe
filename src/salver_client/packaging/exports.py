"""Models that are saved by running them once on an example: modules of PyTorch and TensorFlow, functions of JAX.

Each becomes a program with any number of rows.
"""

from __future__ import annotations

import importlib
import inspect
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from salver_client.packaging.base import failed

Example = Any
DEFAULT = "serving_default"
CALL = "__call__"


# PyTorch


def save_exported(program: Any, folder: Path, _example: Example) -> str:
    importlib.import_module("torch.export").save(program, str(folder / "model.pt2"))
    return "model.pt2"


def save_torch(model: Any, folder: Path, example: Example) -> str:
    torch = importlib.import_module("torch")
    if example is None:
        raise failed(
            "A PyTorch module is exported by running it once, and there is no example.",
            "Give `example`, one input with its rows, or hand over what `torch.export` or `torch.jit` made.",
        )
    arguments, named = _torch_inputs(torch, model, example)
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
    return save_exported(program, folder, None)


def _torch_inputs(torch: Any, model: Any, example: Example) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Its tensors, where they are; numbers of a program, which are FP64, become those of the weights."""
    weight = next((each for each in model.parameters() if each.is_floating_point()), None)
    kind, place = (torch.get_default_dtype(), None) if weight is None else (weight.dtype, weight.device)

    def tensor(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value
        found = torch.as_tensor(value, device=place)
        return found.to(kind) if found.is_floating_point() else found

    if isinstance(example, Mapping):
        return (), {str(name): tensor(value) for name, value in example.items()}
    if isinstance(example, tuple):
        return tuple(map(tensor, example)), {}
    return (tensor(example),), {}


def argument_names(model: Any) -> Sequence[str]:
    """The arguments of `forward`, which are the inputs of what is exported."""
    return list(inspect.signature(model.forward).parameters)


def scripted_names(model: Any) -> Sequence[str]:
    """The same of a scripted or traced module, whose first argument is itself."""
    return [argument.name for argument in model.forward.schema.arguments[1:]]


# TensorFlow


def save_tensorflow(model: Any, folder: Path, example: Example) -> str:
    tensorflow = importlib.import_module("tensorflow")
    signatures = dict(getattr(model, "signatures", None) or {}) or _functions(tensorflow, model)
    if not signatures and example is not None and callable(model):
        signatures = {DEFAULT: _traced(tensorflow, model, example)}
    if not signatures:
        raise failed(
            "The TensorFlow module has no function that says what it takes.",
            "Give `example`, where the module can be called; or write `@tf.function(input_signature=[...])` above it.",
        )
    tensorflow.saved_model.save(model, str(folder / "model"), signatures=signatures)
    return "model"


def _functions(tensorflow: Any, model: Any) -> dict[str, Any]:
    """Those that say what they take, by name; the only one, or the one that calls the module, is the default."""
    kind = tensorflow.types.experimental.GenericFunction
    held = itertools.chain(vars(model).items(), *(vars(each).items() for each in type(model).__mro__))
    names = [name for name, value in held if isinstance(value, kind) and getattr(value, "input_signature", None)]
    if len(set(names)) == 1:
        return {DEFAULT: getattr(model, names[0])}
    return {DEFAULT if name == CALL else name: getattr(model, name) for name in names}


def _traced(tensorflow: Any, model: Any, example: Example) -> Any:
    """The module's call, for any number of rows of what the example has."""

    def spec(value: Any, name: str) -> Any:
        tensor = tensorflow.convert_to_tensor(value)
        kind = tensorflow.float32 if tensor.dtype == tensorflow.float64 else tensor.dtype
        return tensorflow.TensorSpec([None, *tensor.shape[1:]], kind, name)

    names = list(inspect.signature(type(model).__call__).parameters)[1:]
    given = example if isinstance(example, Mapping) else _by_name(names, example)
    specs = {str(name): spec(value, str(name)) for name, value in given.items()}
    try:
        return tensorflow.function(lambda **inputs: model(**inputs)).get_concrete_function(**specs)
    except Exception as error:
        raise failed(
            f"TensorFlow cannot make a function of the module: {error}",
            "Write `@tf.function(input_signature=[...])` above the one that answers.",
        ) from error


# JAX


def save_jitted(function: Any, folder: Path, example: Example) -> str:
    jax, export = importlib.import_module("jax"), importlib.import_module("jax.export")
    if example is None:
        raise failed(
            "A function of JAX is exported for the shapes of an example, and there is none.",
            "Give `example`, or hand over what `jax.export.export(function)(...)` made.",
        )
    (rows,) = export.symbolic_shape("rows")

    def spec(value: Any) -> Any:
        array = jax.numpy.asarray(value)
        return jax.ShapeDtypeStruct((rows, *array.shape[1:]), array.dtype)

    given = example if isinstance(example, Mapping) else _by_name(list(inspect.signature(function).parameters), example)
    try:
        exported = export.export(function)(**{str(name): spec(value) for name, value in given.items()})
    except Exception as error:
        raise failed(
            f"jax.export cannot make a function of any number of rows: {error}",
            "Hand over what `jax.export.export(function)(...)` made for the shapes that it can take.",
        ) from error
    (folder / "model.jax").write_bytes(exported.serialize())
    return "model.jax"


def _by_name(names: Sequence[str], example: Example) -> dict[str, Any]:
    """A tuple has one value for each argument; anything else is the first one's."""
    values = example if isinstance(example, tuple) else (example,)
    return dict(zip(names, values, strict=False))
