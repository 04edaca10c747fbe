"""Arrays to RESULT: the header is made and checked against the signature once, then remembered by what it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from salver_worker.arrays import as_bytes, datatype_of, float32_to_bf16, widen
from salver_worker.failures import OutputInvalid
from salver_worker.frames import encode_bytes_elements, encode_header, padding, tensor_entry

if TYPE_CHECKING:
    from salver_worker.arrays import Array
    from salver_worker.runtimes.base import Arrays

MAX_REMEMBERED = 512
ZEROS = tuple(bytes(size) for size in range(64))


class Answer(NamedTuple):
    """The header and the buffers of a RESULT body, with their size."""

    header: bytes
    buffers: List[Any]
    body_length: int


class OutputWriter:
    """Writes the outputs of one signature; where it names no outputs, whatever the model gives is passed on."""

    def __init__(self, signature: Mapping[str, Any]) -> None:
        self._declared: Dict[str, str] = {spec["name"]: spec["datatype"] for spec in signature["outputs"]}
        self._headers: Dict[Any, bytes] = {}

    def write(self, outputs: Arrays) -> Answer:
        """Raises OutputInvalid when names or datatypes are not those of the signature."""
        key = []
        buffers: List[Any] = []
        body_length = 0
        for name, array in outputs.items():
            data = self._data(name, array)
            size = len(data) if isinstance(data, bytes) else data.nbytes
            gap = padding(size)
            key.append((name, array.dtype, array.shape, size))
            buffers.append(data)
            if gap:
                buffers.append(ZEROS[gap])
            body_length += size + gap
        return Answer(self._header(tuple(key)), buffers, body_length)

    def _data(self, name: str, array: Array) -> Any:
        """The bytes to send for one output: the array itself wherever its memory is already in the right form."""
        dtype = array.dtype
        if dtype.kind in "OSU":
            return self._text(name, array)
        if self._declared.get(name) == "BF16":
            return float32_to_bf16(array)
        if dtype.byteorder == ">":
            array = array.astype(dtype.newbyteorder("<"))
        return array if array.flags.c_contiguous else np.ascontiguousarray(array)

    def _text(self, name: str, array: Array) -> bytes:
        try:
            return encode_bytes_elements([as_bytes(element) for element in array.ravel().tolist()])
        except TypeError as error:
            raise OutputInvalid("the output %s holds %s" % (name, error)) from error

    def _header(self, key: Tuple[Tuple[str, "np.dtype[Any]", Tuple[int, ...], int], ...]) -> bytes:
        header = self._headers.get(key)
        if header is None:
            if self._declared:
                self._check_names([name for name, *_ in key])
            rows = [tensor_entry(name, self._datatype(name, dtype), shape, size) for name, dtype, shape, size in key]
            header = encode_header({"tensors": rows})
            if len(self._headers) >= MAX_REMEMBERED:
                self._headers.clear()
            self._headers[key] = header
        return header

    def _check_names(self, names: List[str]) -> None:
        for name in self._declared:
            if name not in names:
                raise OutputInvalid("the output %s of the signature is missing from the model's answer" % name)
        for name in names:
            if name not in self._declared:
                raise OutputInvalid("the model's answer has an output %s that the signature does not name" % name)

    def _datatype(self, name: str, dtype: "np.dtype[Any]") -> str:
        datatype = datatype_of(np.empty(0, dtype))
        if datatype is None:
            raise OutputInvalid("the output %s is of the type %s, which does not travel" % (name, dtype))
        declared = self._declared.get(name, datatype)
        if datatype != widen(declared):
            raise OutputInvalid("the output %s is %s, and the signature says %s" % (name, datatype, declared))
        return declared
