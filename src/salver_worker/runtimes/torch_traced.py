"""What a TorchScript module was traced with, which newer releases of PyTorch keep in the file: types and shapes alone.

They are kept as a pickle. It is read by an unpickler that knows three names and makes tuples of them, so nothing that
a file says is run here.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

MEMBER = "/traced_inputs.pkl"
MAX_BYTES = 1024 * 1024
STORAGES = {
    "FloatStorage": "FP32", "DoubleStorage": "FP64", "HalfStorage": "FP16", "BFloat16Storage": "BF16",
    "LongStorage": "INT64", "IntStorage": "INT32", "ShortStorage": "INT16", "CharStorage": "INT8",
    "ByteStorage": "UINT8", "BoolStorage": "BOOL",
}  # fmt: skip


class Traced(NamedTuple):
    """A tensor that `forward` was called with."""

    datatype: str
    shape: Tuple[int, ...]


def traced_with(path: str) -> Optional[List[Traced]]:
    """One for each argument; None where the file does not say, or they were no tensors."""
    with zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith(MEMBER)), None)
        if name is None:
            return None
        with archive.open(name) as member:
            raw = member.read(MAX_BYTES)
    try:
        found = _Reader(io.BytesIO(raw)).load().get("forward")
    except (pickle.UnpicklingError, AttributeError, EOFError, IndexError, KeyError, TypeError, ValueError):
        return None
    is_known = isinstance(found, list) and all(isinstance(value, Traced) and value.shape for value in found)
    return found if is_known else None


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError("%s.%s is not known" % (module, name))
        return _STAND_INS[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """The datatype of a storage: its values are not kept."""
        return pid[1]


def _without_type(value: Any, _type: str) -> Any:
    return value


def _tensor(datatype: str, _offset: int, shape: Sequence[int], *_more: Any) -> Traced:
    return Traced(datatype, tuple(shape))


_STAND_INS = {
    ("torch.jit._pickle", "restore_type_tag"): _without_type,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("collections", "OrderedDict"): dict,
}
