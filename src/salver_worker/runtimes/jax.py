"""A function of JAX, exported with `jax.export` and serialized.

XLA compiles for fixed shapes. Batches are filled up to the next power of two, so that a model is compiled a few times
and not once for each number of rows; what was filled in is cut off again.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, datatype_of
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.jax_names import input_names, output_names

if TYPE_CHECKING:
    from salver_worker.arrays import Array

WIDE = ("FP64", "INT64", "UINT64")
COMPILE_S = 20.0
"""How long shapes are compiled beforehand; the rest is compiled when it is first asked for."""


class Named(NamedTuple):
    """A tensor of the function: its name for callers, its datatype, and its dimensions, numbers or names."""

    name: str
    datatype: str
    dims: Tuple[Any, ...]

    @property
    def row(self) -> Dict[str, Any]:
        return tensor(self.name, self.datatype, [dim if isinstance(dim, int) else -1 for dim in self.dims])


def load(request: LoadRequest) -> JaxFunction:
    _limit(request.threads)
    import jax
    from jax import export

    with open(request.path, "rb") as file:
        serialized = bytearray(file.read())
    try:
        exported = export.deserialize(serialized)
    except Exception as error:
        text = "JAX %s cannot read the file: %s" % (jax.__version__, _first_line(error))
        fix = "Export the function with this JAX or an older one; or name a newer JAX in requirements.txt beside it."
        raise LoadFailure(text, fix=fix) from error
    model = JaxFunction(jax, exported)
    model.compile_ahead(request.batch_rows)
    return model


class JaxFunction:
    payload = "tensors"

    def __init__(self, jax: Any, exported: Any) -> None:
        self._jax = jax
        inputs = _named(input_names(jax.tree_util, exported.in_tree), exported.in_avals)
        outputs = _named(output_names(jax.tree_util, exported.out_tree), exported.out_avals)
        if any(each.datatype in WIDE for each in (*inputs, *outputs)):
            jax.config.update("jax_enable_x64", True)
        self._inputs = inputs
        self._names = [each.name for each in outputs]
        self._narrow = [each.name for each in inputs if each.datatype == "BF16"]
        self._wide = [each.name for each in outputs if each.datatype == "BF16"]
        self._device = _device(jax, exported)
        self._function = _flat(jax, exported)
        self.signature = signature([each.row for each in inputs], [each.row for each in outputs])
        self.has_batch_dimension = _has_rows(inputs, outputs)
        self.runtime_version = "jax " + jax.__version__
        self.details = {
            "function": exported.fun_name,
            "exported_for": ", ".join(exported.platforms),
            "device": "%s %d" % (self._device.platform, self._device.id),
            "calling_convention": str(exported.calling_convention_version),
        }

    def compile_ahead(self, most: int) -> None:
        """For batches of 1, 2, 4 and so on rows, where all other dimensions are known: nothing is run by it."""
        are_known = all(isinstance(dim, int) for each in self._inputs for dim in each.dims[1:])
        if not self.has_batch_dimension or not are_known:
            return
        rows, end = 1, time.monotonic() + COMPILE_S
        while rows <= most and time.monotonic() < end:
            blank = [np.zeros([rows, *each.dims[1:]], self._kind(each)) for each in self._inputs]
            with self._jax.default_device(self._device):
                self._function.lower(*blank).compile()
            rows *= 2

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        for name in self._narrow:
            inputs = {**inputs, name: inputs[name].astype(self._jax.numpy.bfloat16)}
        arrays = [inputs[each.name] for each in self._inputs]
        rows = arrays[0].shape[0] if self.has_batch_dimension else 0
        with self._jax.default_device(self._device):
            values = self._function(*[_filled_up(array, rows) for array in arrays])
        outputs = dict(zip(self._names, map(np.asarray, values)))
        for name in self._wide:
            outputs[name] = outputs[name].astype(np.float32)
        return {name: array[:rows] for name, array in outputs.items()} if rows else outputs

    def close(self) -> None:
        """Nothing to give back."""

    def _kind(self, each: Named) -> Any:
        return self._jax.numpy.bfloat16 if each.datatype == "BF16" else NUMPY_TYPES[each.datatype]


def _limit(threads: int) -> None:
    """XLA asks the environment how many processors there are, before it makes its threads."""
    os.environ["NPROC"] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # other models share the GPU
    if threads == 1:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = (flags + " --xla_cpu_multi_thread_eigen=false").strip()


def _named(names: Sequence[str], values: Sequence[Any]) -> List[Named]:
    """Raises LoadFailure for what does not travel."""
    named = []
    for name, value in zip(names, values):
        kind = value.dtype.name
        datatype = "BF16" if kind == "bfloat16" else _datatype(value.dtype)
        if datatype is None:
            text = "%s is of the type %s, which does not travel" % (name, kind)
            raise LoadFailure(
                text, fix="Export a function of numbers with at least 8 bits; keys are made inside of it."
            )
        dims = tuple(int(dim) if str(dim).isdecimal() else str(dim) for dim in value.shape)
        named.append(Named(name, datatype, dims))
    return named


def _datatype(kind: Any) -> Any:
    return datatype_of(np.empty(0, kind)) if isinstance(kind, np.dtype) and kind.kind in "biuf" else None


def _has_rows(inputs: Sequence[Named], outputs: Sequence[Named]) -> bool:
    """The first dimension of all tensors is one and the same free one."""
    firsts = {each.dims[0] if each.dims else 0 for each in (*inputs, *outputs)}
    return bool(inputs) and len(firsts) == 1 and str(next(iter(firsts))).isidentifier()


def _device(jax: Any, exported: Any) -> Any:
    """The best device that the function was exported for. Raises LoadFailure where there is none."""
    if exported.nr_devices != 1:
        text = "the function was exported for %d devices together" % exported.nr_devices
        raise LoadFailure(text, fix="Export it for one device.")
    own = jax.devices()[0]
    platform = {"gpu": "cuda"}.get(own.platform, own.platform)
    if {platform, own.platform} & set(exported.platforms) or (own.platform == "gpu" and "rocm" in exported.platforms):
        return own
    if "cpu" in exported.platforms:
        return jax.devices("cpu")[0]
    text = "the function was exported for %s, and here is %s" % (", ".join(exported.platforms), platform)
    raise LoadFailure(text, fix='Export it with platforms=["cpu", "cuda"].')


def _flat(jax: Any, exported: Any) -> Any:
    """The function of its leaves in order, instead of the trees of its arguments."""
    tree = jax.tree_util

    def call(*leaves: Any) -> Any:
        arguments, keywords = tree.tree_unflatten(exported.in_tree, leaves)
        return tree.tree_leaves(exported.call(*arguments, **keywords))

    return jax.jit(call)


def _filled_up(array: Array, rows: int) -> Array:
    """With copies of its last row, up to a power of two."""
    more = (1 << (rows - 1).bit_length()) - rows if rows else 0
    if not more:
        return array
    return np.concatenate([array, np.repeat(array[-1:], more, axis=0)])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
