"""The short ways from a body to tensors, worked out once per signature: raw bytes by size, small JSON by type.

Both take only what they are sure of and give None for the rest, which the general conversion reads or refuses in words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Protocol, TypeAlias

import msgspec
from msgspec import UNSET

from salver.serving.payload.raw import as_view
from salver.types import Signature, Tensor, TensorSpec
from salver_worker.frames import DATATYPE_SIZES

Decoded: TypeAlias = tuple[dict[str, Tensor], int, str]
"""The inputs, their number of rows, and the form that was understood."""

Together: TypeAlias = tuple[dict[str, Tensor], list[int], str]
"""The inputs of several bodies, the rows of each body, and the form that was understood of all."""


class Reader(Protocol):
    """Takes whole bodies; None when it is not sure of one."""

    def read(self, body: Any) -> Decoded | None: ...

    def read_all(self, bodies: Sequence[Any]) -> Together | None: ...


MAX_TYPED_BYTES = 16 * 1024
"""Above this the general parser is the quicker one."""

_FLOAT_LIMITS = {"FP16": 65504.0, "FP32": 3.4028234663852886e38}


class RawReader:
    """Row-major little-endian bytes of the only input; the buffer is passed on as it is."""

    __slots__ = ("_datatype", "_name", "_one", "_row", "_row_bytes")

    def __init__(self, spec: TensorSpec) -> None:
        self._name = spec.name
        self._datatype = spec.datatype
        self._row = spec.shape[1:]
        self._one = (1, *self._row)
        self._row_bytes = math.prod(self._row) * DATATYPE_SIZES[spec.datatype]

    def read_all(self, bodies: Sequence[Any]) -> Together | None:
        """The rows of all bodies as one tensor."""
        row_bytes = self._row_bytes
        sizes = list(map(len, bodies))
        rows = [size // row_bytes for size in sizes]
        if min(rows) < 1 or any(size % row_bytes for size in sizes):
            return None
        joined = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        return {self._name: Tensor(self._datatype, (sum(rows), *self._row), joined)}, rows, "raw"

    def read(self, body: Any) -> Decoded | None:
        size = len(body)
        if size == self._row_bytes:
            return {self._name: Tensor(self._datatype, self._one, body)}, 1, "raw"
        rows, rest = divmod(size, self._row_bytes)
        if rest or not rows:
            return None
        return {self._name: Tensor(self._datatype, (rows, *self._row), body)}, rows, "raw"


def raw_reader(signature: Signature) -> RawReader | None:
    """The reader of a signature with one input of whole, fixed rows; None for others."""
    if len(signature.inputs) != 1 or not has_fixed_rows(signature.inputs[0]):
        return None
    (spec,) = signature.inputs
    return RawReader(spec) if spec.datatype in DATATYPE_SIZES and 0 not in spec.shape else None


def has_fixed_rows(spec: TensorSpec) -> bool:
    return spec.has_rank and spec.shape[:1] == (-1,) and -1 not in spec.shape[1:]


class JsonReader:
    """Small JSON bodies of numbers: `inputs` by name or bare, `instances`, or a list of rows.

    The decoder knows each input's datatype, depth and lengths, so what it lets through needs no second look.
    """

    __slots__ = ("_decode", "_document", "_named", "_specs")

    def __init__(self, specs: tuple[TensorSpec, ...]) -> None:
        values = [values_type(spec) for spec in specs]
        # Names of inputs need not be Python's, so the fields are numbered and renamed.
        fields = [f"input_{index}" for index in range(len(specs))]
        names = {field: spec.name for field, spec in zip(fields, specs, strict=True)}
        self._specs = [(spec.name, spec.datatype, spec.shape[1:]) for spec in specs]
        self._named = msgspec.defstruct(
            "Named", list(zip(fields, values, strict=True)), rename=names, forbid_unknown_fields=True, gc=False
        )
        inputs: Any = self._named
        rows: Any = msgspec.UnsetType
        if len(specs) == 1:
            inputs, rows = self._named | values[0], values[0] | msgspec.UnsetType
        self._document: Any = msgspec.defstruct(
            "Document",
            [("inputs", inputs | msgspec.UnsetType, UNSET), ("instances", rows, UNSET)],
            forbid_unknown_fields=True,
            gc=False,
        )
        whole = self._document | values[0] if len(specs) == 1 else self._document
        self._decode = msgspec.json.Decoder(whole).decode

    def read(self, body: Any) -> Decoded | None:
        if len(body) > MAX_TYPED_BYTES:
            return None
        try:
            document = self._decode(as_view(body))
        except (msgspec.DecodeError, UnicodeDecodeError):  # the latter for a key that is not UTF-8
            return None
        if type(document) is list:
            return self._only(document, "rows")
        inputs, instances = document.inputs, document.instances
        if (inputs is UNSET) is (instances is UNSET):
            return None
        if inputs is UNSET:
            return self._only(instances, "instances")
        return self._only(inputs, "inputs") if type(inputs) is list else self._by_name(inputs)

    def read_all(self, bodies: Sequence[Any]) -> Together | None:
        """The rows of all bodies, which must be of one form, as one tensor for each input."""
        read = self.read
        rows: list[int] = []
        values: list[list[Any]] = [[] for _ in self._specs]
        form = None
        for body in bodies:
            decoded = read(body)
            if decoded is None or form not in (None, decoded[2]):
                return None
            inputs, count, form = decoded
            rows.append(count)
            for column, tensor in zip(values, inputs.values(), strict=True):
                column += tensor.data
        total = sum(rows)
        inputs = {
            name: Tensor(datatype, (total, *row), column)
            for (name, datatype, row), column in zip(self._specs, values, strict=True)
        }
        return inputs, rows, form or ""

    def _only(self, values: list[Any], understood: str) -> Decoded:
        name, datatype, row = self._specs[0]
        rows = len(values)
        return {name: Tensor(datatype, (rows, *row), values)}, rows, understood

    def _by_name(self, named: Any) -> Decoded | None:
        if len(self._specs) == 1:
            return self._only(named.input_0, "inputs")
        columns = msgspec.structs.astuple(named)
        if len(set(map(len, columns))) > 1:
            return None
        rows = len(columns[0])
        inputs = {
            name: Tensor(datatype, (rows, *row), values)
            for (name, datatype, row), values in zip(self._specs, columns, strict=True)
        }
        return inputs, rows, "inputs"


def json_reader(signature: Signature) -> JsonReader | None:
    """The reader of a signature whose inputs are all numbers in whole, fixed rows; None for others."""
    specs = signature.inputs
    are_plain = all(has_fixed_rows(spec) and spec.datatype in TYPED_DATATYPES and 0 not in spec.shape for spec in specs)
    # An input named like one of the envelope's words could be read in two ways.
    are_clear = not {"inputs", "instances"} & {spec.name for spec in specs}
    return JsonReader(specs) if specs and are_plain and are_clear else None


TYPED_DATATYPES = frozenset(
    {"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "FP16", "FP32", "FP64"}
)


def values_type(spec: TensorSpec) -> Any:
    """The type of nested lists of a spec: at least one row, every other dimension of its own length."""
    kind: Any = element_type(spec.datatype)
    for size in reversed(spec.shape[1:]):
        kind = Annotated[list[kind], msgspec.Meta(min_length=size, max_length=size)]
    return Annotated[list[kind], msgspec.Meta(min_length=1)]


def element_type(datatype: str) -> Any:
    """The type of one value, with the limits of the datatype."""
    if datatype == "BOOL":
        return bool
    if datatype.startswith("FP"):
        limit = _FLOAT_LIMITS.get(datatype)
        return float if limit is None else Annotated[float, msgspec.Meta(ge=-limit, le=limit)]
    bits = 8 * DATATYPE_SIZES[datatype]
    if datatype.startswith("UINT"):
        return Annotated[int, msgspec.Meta(ge=0, le=2**bits - 1)]
    return Annotated[int, msgspec.Meta(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]
