"""The short road from a predict body to a request, compiled once for a version's default signature.

It takes the usual form alone: one input of numbers or booleans, its values in nested lists of the declared shape. For
anything else it returns None and the general road (``codec.py``) decides; what it does take comes out the same there.
Values stay nested lists, so that NumPy is touched once per batch and not once per request.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Annotated, Any

import msgspec

from salver.serving.payload import batch_group
from salver.types import DEFAULT_SIGNATURE, PayloadKind, Tensor, TensorSpec, VersionInfo
from salver.wire.jsonbody import MAX_DEPTH, Buffer
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.sweep import sweep_numbers
from salver.wire.tfserving.values import RULES

SWEEP_BYTES = 1024
"""From this size on, numbers are read in one sweep into an array instead of one Python object each."""

_UNBOUNDED = "UINT64"  # msgspec's bounds have 63 bits


def default_plan(version: VersionInfo) -> DefaultPlan | None:
    """The plan of the version's short road, or None when its default signature has none."""
    signature = version.signature()
    if version.payload is not PayloadKind.TENSORS or signature is None or len(signature.inputs) != 1:
        return None
    spec = signature.inputs[0]
    if spec.datatype not in RULES or spec.datatype in ("BYTES", _UNBOUNDED) or not spec.has_rank:
        return None
    return DefaultPlan(version, spec) if 0 < len(spec.shape) < MAX_DEPTH else None


class DefaultPlan:
    """All that is known beforehand of requests to one version with one input."""

    def __init__(self, version: VersionInfo, spec: TensorSpec) -> None:
        self._version = version
        self._spec = spec
        self._trailing = spec.shape[1:]
        self._has_known_rows = -1 not in self._trailing
        self._has_batch_dimension = version.has_batch_dimension
        self._name = spec.name
        self._datatype = spec.datatype
        self._parse: Callable[[Buffer], Any] = msgspec.json.Decoder(_document_type(spec)).decode
        self._group = batch_group(DEFAULT_SIGNATURE, {spec.name: Tensor(spec.datatype, spec.shape, None)})

    def decode(self, body: Buffer) -> TfRequest | None:
        """The request, or None when the general road must decide."""
        spec = self._spec
        if len(body) >= SWEEP_BYTES and spec.datatype != "BOOL":
            return self._decode_large(body)
        try:
            document = self._parse(body)
        except (msgspec.MsgspecError, ValueError):  # another form, or bytes that are not UTF-8
            return None
        values = document.instances
        is_row = values is not None
        if not is_row:
            values = document.inputs
        if values is None or (is_row and document.inputs is not None):
            return None
        if document.signature_name and document.signature_name != DEFAULT_SIGNATURE:
            return None
        if not self._has_known_rows:
            return self._free_request(values, is_row=is_row)
        shape = (len(values), *self._trailing)
        inputs = {spec.name: Tensor(spec.datatype, shape, values)}
        rows = shape[0] if self._version.has_batch_dimension else 1
        return TfRequest(self._version, DEFAULT_SIGNATURE, inputs, None, rows, self._group, None, is_row)

    def decode_rows(self, bodies: Sequence[Buffer]) -> tuple[TfRequest, list[int]] | None:
        """One request of the rows of all bodies, and how many each has.

        None when one of them is not a small document in the row form, whose rows have the declared size.
        """
        if not self._has_known_rows or not self._has_batch_dimension:
            return None
        for body in bodies:
            if len(body) >= SWEEP_BYTES:
                return None
        parse = self._parse
        try:
            documents = [parse(body) for body in bodies]
        except (msgspec.MsgspecError, ValueError):
            return None
        rows: list[int] = []
        values: list[Any] = []
        for document in documents:
            instances = document.instances
            if instances is None or document.inputs is not None:
                return None
            signature_name = document.signature_name
            if signature_name and signature_name != DEFAULT_SIGNATURE:
                return None
            rows.append(len(instances))
            values += instances
        count = len(values)
        inputs = {self._name: Tensor(self._datatype, (count, *self._trailing), values)}
        return TfRequest(self._version, DEFAULT_SIGNATURE, inputs, None, count, self._group, None, True), rows

    def _decode_large(self, body: Buffer) -> TfRequest | None:
        sweep = sweep_numbers(bytes(body), self._spec)
        return None if sweep is None else self._request(sweep.tensor, is_row=sweep.is_row)

    def _free_request(self, values: list[Any], *, is_row: bool) -> TfRequest | None:
        """A request whose rows have a size of their own: msgspec has seen the values, not that all rows are alike."""
        shape = _even_shape(values, len(self._spec.shape))
        return None if shape is None else self._request(Tensor(self._spec.datatype, shape, values), is_row=is_row)

    def _request(self, tensor: Tensor, *, is_row: bool) -> TfRequest:
        inputs = {self._spec.name: tensor}
        group = self._group if self._has_known_rows else batch_group(DEFAULT_SIGNATURE, inputs)
        rows = tensor.shape[0] if self._version.has_batch_dimension else 1
        return TfRequest(self._version, DEFAULT_SIGNATURE, inputs, None, rows, group, None, is_row)


def _document_type(spec: TensorSpec) -> type[msgspec.Struct]:
    """The type of the usual document: values in range, lists as long as the declared dimensions, nothing beside."""
    rule = RULES[spec.datatype]
    values: Any = bool if spec.datatype == "BOOL" else float if spec.datatype.startswith("FP") else int
    if rule.low is not None:
        values = Annotated[values, msgspec.Meta(ge=rule.low, le=rule.high)]
    for size in reversed(spec.shape):
        length = msgspec.Meta(min_length=1) if size == -1 else msgspec.Meta(min_length=size, max_length=size)
        values = Annotated[list[values], length]
    fields = [("instances", values, None), ("inputs", values, None), ("signature_name", str, "")]
    return msgspec.defstruct("PredictDocument", fields, forbid_unknown_fields=True, gc=False)


def _even_shape(values: list[Any], rank: int) -> tuple[int, ...] | None:
    """The shape of nested lists of a known depth, or None when lists of one level differ in length."""
    shape: list[int] = []
    level: list[Any] = [values]
    for _ in range(rank):
        sizes = set(map(len, level))
        if len(sizes) != 1:
            return None
        shape.append(sizes.pop())
        level = list(chain.from_iterable(level)) if len(shape) < rank else level
    return tuple(shape)
