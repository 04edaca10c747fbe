"""Arrays to RESULT: the header is made and checked against the signature once, then remembered by what it describes.

What has another form in memory than on its way (text, BF16, rows that do not lie one after the other) is put together
anew each time.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np

from salver_worker.arrays import as_bytes, datatype_of, float32_to_bf16, widen
from salver_worker.failures import OutputInvalid
from salver_worker.frames import encode_bytes_elements, encode_header, padding, tensor_entry

if TYPE_CHECKING:
    from salver_worker.arrays import Array
    from salver_worker.runtimes.base import Arrays

MAX_REMEMBERED = 512
ZEROS = tuple(bytes(size) for size in range(64))


Key = Tuple[Tuple[str, "np.dtype[Any]", Tuple[int, ...], bool], ...]
"""Of each output: name, type, shape, and whether it is contiguous."""


class Answer(NamedTuple):
    """The header and the buffers of a RESULT body, with their size."""

    header: bytes
    buffers: List[Any]
    body_length: int


class Form(NamedTuple):
    """What answers of one key have in common, when their arrays are sent as they are. A gap pads each array."""

    header: bytes
    gaps: Tuple[bytes, ...]
    body_length: int


class OutputWriter:
    """Writes the outputs of one signature; where it names no outputs, whatever the model gives is passed on."""

    def __init__(self, signature: Mapping[str, Any]) -> None:
        self._declared: Dict[str, str] = {spec["name"]: spec["datatype"] for spec in signature["outputs"]}
        self._forms: Dict[Any, Form] = {}

    def write(self, outputs: Arrays) -> Answer:
        """Raises OutputInvalid when names or datatypes are not those of the signature."""
        if len(outputs) == 1:
            ((name, array),) = outputs.items()
            key: Key = ((name, array.dtype, array.shape, array.flags.c_contiguous),)
            form = self._forms.get(key)
            if form is not None:
                header, (gap,), size = form
                return Answer(header, [array, gap], size)
        else:
            key = tuple([(name, it.dtype, it.shape, it.flags.c_contiguous) for name, it in outputs.items()])
            form = self._forms.get(key)
        if form is None:
            return self._write_new(key, outputs)
        return Answer(form.header, list(chain.from_iterable(zip(outputs.values(), form.gaps))), form.body_length)

    def _write_new(self, key: Key, outputs: Arrays) -> Answer:
        """An answer of a form that was not seen before, or that is another one each time."""
        pieces = [self._data(name, array) for name, array in outputs.items()]
        sizes = [len(piece) if isinstance(piece, bytes) else piece.nbytes for piece in pieces]
        gaps = [ZEROS[padding(size)] for size in sizes]
        form = Form(self._header(key, sizes), tuple(gaps), sum(sizes) + sum(map(len, gaps)))
        if all(piece is array for piece, array in zip(pieces, outputs.values())):
            if len(self._forms) >= MAX_REMEMBERED:
                self._forms.clear()
            self._forms[key] = form
        return Answer(form.header, list(chain.from_iterable(zip(pieces, gaps))), form.body_length)

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

    def _header(self, key: Key, sizes: Sequence[int]) -> bytes:
        if self._declared:
            self._check_names([name for name, *_ in key])
        rows = [
            tensor_entry(name, self._datatype(name, dtype), shape, size)
            for (name, dtype, shape, _), size in zip(key, sizes)
        ]
        return encode_header({"tensors": rows})

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
