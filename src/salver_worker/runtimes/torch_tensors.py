"""Arrays to tensors and back, and the names of what a module returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.failures import OutputInvalid

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY = "output"
"""What an only output without a name is called; of several, the first is `output_0`."""
DATATYPES = {
    "bool": "BOOL", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "float16": "FP16", "float32": "FP32", "float64": "FP64", "bfloat16": "BF16",
}  # fmt: skip
TYPES = {datatype: name for name, datatype in DATATYPES.items()}
"""By datatype, the name of PyTorch's type."""


def datatype_of_tensor(tensor: Any) -> str:
    """The datatype that a tensor travels as. Raises OutputInvalid for one that does not."""
    name = str(tensor.dtype).partition(".")[2]
    if name not in DATATYPES:
        raise OutputInvalid("a tensor is of the type %s, which does not travel" % name)
    return DATATYPES[name]


def tensor_of_array(torch: Any, array: Array, datatype: str, device: str) -> Any:
    """A tensor of its own, which the module may change; the array is lent and read-only."""
    tensor = torch.from_numpy(np.array(array))
    return tensor.to(device=device, dtype=torch.bfloat16) if datatype == "BF16" else tensor.to(device)


def array_of_tensor(tensor: Any) -> Array:
    """BF16 comes out as float32, which holds all of its values."""
    tensor = tensor.detach()
    if tensor.layout is not _torch().strided:
        tensor = tensor.to_dense()
    datatype = datatype_of_tensor(tensor)
    array: Array = (tensor.float() if datatype == "BF16" else tensor).cpu().numpy()
    return array


def named_tensors(value: Any) -> Dict[str, Any]:
    """The tensors of what a module returned: a tensor, or tuples, lists, tables and named tuples of them.

    Names in a table are its keys, joined by `_` where tables lie in tables. What is None is left out, numbers become
    tensors. Raises OutputInvalid for anything else.
    """
    found: Dict[str, Any] = {}
    for path, tensor in _leaves(value, ()):
        name = "_".join(path) or ONLY
        if name in found:
            raise OutputInvalid("the model returns two outputs that would both be called %s" % name)
        found[name] = tensor
    return found


def _leaves(value: Any, path: Tuple[str, ...]) -> List[Tuple[Tuple[str, ...], Any]]:
    if value is None:
        return []
    if isinstance(value, (bool, int, float)):
        return [(path, _torch().tensor(value))]
    if isinstance(value, _torch().Tensor):
        return [(path, value)]
    return [leaf for key, part in _parts(value, path) for leaf in _leaves(part, (*path, key))]


def _parts(value: Any, path: Tuple[str, ...]) -> Sequence[Tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [(str(key), part) for key, part in value.items()]
    fields = getattr(value, "_fields", None) or getattr(value, "__dataclass_fields__", None)
    if fields:
        return [(str(name), getattr(value, name)) for name in fields]
    if isinstance(value, (list, tuple)):
        if not path and len(value) == 1:
            return [(ONLY, value[0])]
        return [("%d" % index if path else "%s_%d" % (ONLY, index), part) for index, part in enumerate(value)]
    raise OutputInvalid("the model returns a %s, which is no tensor" % type(value).__name__)


def _torch() -> Any:
    import torch

    return torch
