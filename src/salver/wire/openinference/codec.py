"""From the bytes of an inference request to the inputs of a version's signature. Pure."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
import orjson
from msgspec import UNSET

from salver.errors import Code, RequestError
from salver.serving.payload import batch_group
from salver.serving.payload.raw import as_bytes, as_view
from salver.types import (
    DEFAULT_SIGNATURE,
    Signature,
    SlabSlice,
    Tensor,
    TensorSpec,
    VersionInfo,
)
from salver.wire.jsonbody import Buffer
from salver.wire.openinference.binary import (
    NEEDS_BOTH,
    Pieces,
    RawTensors,
    announced_size,
    check_all_taken,
    raw_tensor,
    split,
)
from salver.wire.openinference.columns import one_table
from salver.wire.openinference.document import InferDocument, InputDocument, model_parameters, parse_document
from salver.wire.openinference.errors import invalid, refused, shown
from salver.wire.openinference.options import allowed_s, check_priority, sequence_of, sequence_parameters
from salver.wire.openinference.request import NO_SHARED_MEMORY, V2Request, binary_default, wishes_of
from salver.wire.openinference.values import json_tensor
from salver_worker.frames import DATATYPE_SIZES

RAW_REQUEST = b"0"
MAX_REMEMBERED = 64
MAX_REMEMBERED_BYTES = 2048


class Layout(NamedTuple):
    """A request whose tensors are all numbers behind the JSON: what the same JSON means the next time."""

    pieces: tuple[tuple[str, str, tuple[int, ...], int, int], ...]
    """Name, datatype, shape, bytes and alignment, in the order of the bytes."""
    order: tuple[str, ...]
    size: int
    request: V2Request

    def read(self, raw: RawTensors) -> V2Request:
        """The request with the tensors of another body."""
        taken = {
            name: Tensor(datatype, shape, raw.take(size, alignment))
            for name, datatype, shape, size, alignment in self.pieces
        }
        known = self.request
        return V2Request(
            known.version,
            known.signature_name,
            taken if len(taken) == 1 else {name: taken[name] for name in self.order},
            None,
            known.rows,
            known.group,
            known.parameters,
            known.id,
            known.wishes,
            known.is_binary,
            allowed_s=known.allowed_s,
            sequence=known.sequence,
        )


class Plan:
    """What is worked out once for a version that takes tensors."""

    __slots__ = ("_layouts", "_model", "_outputs", "_specs", "signature", "version")

    def __init__(self, version: VersionInfo) -> None:
        """Raises RequestError(SIGNATURE_NOT_FOUND)."""
        signature = self.signature = default_signature(version)
        self.version = version
        self._model = version.id.model
        self._specs = {spec.name: spec for spec in signature.inputs}
        self._outputs = {spec.name: spec.datatype for spec in signature.outputs}
        self._layouts: dict[bytes, Layout] = {}
        """By the JSON: clients that send raw tensors send the same one again and again."""

    def decode(self, body: Buffer | SlabSlice, length_header: bytes | None) -> V2Request:
        """The request. Raises RequestError(INVALID_INPUT)."""
        if length_header is not None and length_header.strip() == RAW_REQUEST:
            return self._raw_request(body)
        raw_json, raw = split(body, length_header)
        if raw is None:
            return self.read(parse_document(raw_json), None)
        layout = self._layouts.get(raw_json)
        if layout is not None and layout.size == raw.left:
            return layout.read(raw)
        document = parse_document(raw_json)
        request = self.read(document, raw)
        if len(raw_json) <= MAX_REMEMBERED_BYTES:
            self._remember(raw_json, document, request)
        return request

    def _remember(self, raw_json: bytes, document: InferDocument, request: V2Request) -> None:
        if any(item.data is not UNSET or item.datatype == "BYTES" for item in document.inputs):
            return
        pieces = tuple(
            (item.name, item.datatype, tuple(item.shape), announced_size(item) or 0, DATATYPE_SIZES[item.datatype])
            for item in document.inputs
        )
        if len(self._layouts) >= MAX_REMEMBERED:
            self._layouts.clear()
        size = sum(piece[3] for piece in pieces)
        known = msgspec.structs.replace(request, inputs=None)
        self._layouts[raw_json] = Layout(pieces, tuple(self._specs), size, known)

    def read(self, document: InferDocument, raw: Pieces | None) -> V2Request:
        """The request of a document and the tensors that came beside it. Raises RequestError(INVALID_INPUT)."""
        request_id = document.id or ""
        wishes = wishes_of(document, self._outputs, self._model)
        parameters = model_parameters(document)
        check_priority(document)
        sequence = sequence_of(document)
        if sequence is not None:
            parameters = {**(parameters or {}), **sequence_parameters(sequence)}
        inputs = self._inputs(document, raw, request_id)
        check_all_taken(raw, self._model)
        group: Any = batch_group(DEFAULT_SIGNATURE, inputs)
        if parameters:
            group = (*group, orjson.dumps(parameters, option=orjson.OPT_SORT_KEYS))  # `True == 1`, but not as JSON
        return V2Request(
            self.version,
            DEFAULT_SIGNATURE,
            inputs,
            None,
            self._rows(inputs, request_id),
            group,
            parameters,
            request_id,
            wishes,
            binary_default(document),
            allowed_s=allowed_s(document),
            sequence=sequence,
        )

    def _inputs(self, document: InferDocument, raw: Pieces | None, request_id: str) -> dict[str, Tensor]:
        """In the order of the signature: requests that name them in another share batches with those that do not."""
        given: dict[str, Tensor] = {}
        for item in one_table(document, self._specs):
            if item.name in given:
                raise refused(request_id, f"input '{shown(item.name)}' already exists in request")
            given[item.name] = self._tensor(item, raw, request_id)
        if len(given) < len(self._specs):
            raise self._incomplete(list(given), request_id)
        return {name: given[name] for name in self._specs}

    def _tensor(self, item: InputDocument, raw: Pieces | None, request_id: str) -> Tensor:
        name, model = shown(item.name), self._model
        spec = self._specs.get(item.name)
        if spec is None:
            raise refused(request_id, f"unexpected inference input '{name}' for model '{model}'")
        if item.datatype != spec.datatype:
            raise refused(
                request_id,
                f"inference input '{name}' data-type is '{shown(item.datatype)}', but model '{model}' expects "
                f"'{spec.datatype}'",
            )
        if not spec.fits(item.shape):
            expected, got = shape_text(spec.shape), shape_text(item.shape)
            text = f"unexpected shape for input '{name}' for model '{model}'. Expected {expected}, got {got}"
            raise refused(request_id, text)
        if 0 in item.shape:
            raise refused(request_id, f"input '{name}' has no values: its shape is {shape_text(item.shape)}")
        return read_tensor(item, raw, model, request_id)

    def _incomplete(self, given: list[str], request_id: str) -> RequestError:
        lacking = [name for name in self._specs if name not in given]
        return refused(
            request_id,
            f"expected {len(self._specs)} inputs but got {len(given)} inputs for model '{self._model}'. Got input(s) "
            f"{given}, but missing required input(s) {lacking}. Please provide all required input(s).",
        )

    def _rows(self, inputs: dict[str, Tensor], request_id: str) -> int:
        if not self.version.has_batch_dimension:
            return 1
        rows = 0
        for name, tensor in inputs.items():
            count = tensor.shape[0] if tensor.shape else 1
            if rows and count != rows:
                text = f"input '{name}' batch size does not match other inputs for '{self._model}'"
                raise refused(request_id, text)
            rows = count
        return rows or 1

    def _raw_request(self, body: Buffer | SlabSlice) -> V2Request:
        """The body is the only input, one row of it, without any JSON."""
        if len(self._specs) != 1:
            raise invalid(
                f"a raw binary request needs a model with 1 input, but '{self._model}' has {len(self._specs)}"
            )
        (spec,) = self._specs.values()
        tensor = raw_row(spec, body, self._model, has_rows=self.version.has_batch_dimension)
        inputs = {spec.name: tensor}
        group = batch_group(DEFAULT_SIGNATURE, inputs)
        return V2Request(self.version, DEFAULT_SIGNATURE, inputs, None, 1, group, is_binary=True)


def default_signature(version: VersionInfo) -> Signature:
    """Raises RequestError(SIGNATURE_NOT_FOUND)."""
    signature = version.signature()
    if signature is None:
        listed = ", ".join(sorted(version.signatures)) or "none"
        raise RequestError(
            Code.SIGNATURE_NOT_FOUND,
            f"This protocol can only ask for the signature '{DEFAULT_SIGNATURE}'; the model has {listed}.",
            fix="Ask over a protocol that names signatures, such as TensorFlow Serving's.",
        )
    return signature


def read_tensor(item: InputDocument, raw: Pieces | None, model: str, request_id: str) -> Tensor:
    """An input's values, from the JSON or from behind it. Raises RequestError(INVALID_INPUT)."""
    if item.parameter("shared_memory_region") is not None:
        raise invalid(NO_SHARED_MEMORY)
    size = announced_size(item)
    if size is None:
        if item.data is UNSET:
            raise invalid(NEEDS_BOTH)
        return json_tensor(item, item.data)
    if item.data is not UNSET:
        raise invalid(f"input '{shown(item.name)}' has both 'data' and 'binary_data_size'")
    if raw is None:
        raise invalid(NEEDS_BOTH)
    return raw_tensor(item, size, raw, model, request_id)


def raw_row(spec: TensorSpec, body: Buffer | SlabSlice, model: str, *, has_rows: bool) -> Tensor:
    """A whole body as one row of an input, with at most one further dimension to find out. Raises RequestError."""
    shape = [1, *spec.shape[1:]] if has_rows else list(spec.shape)
    free = [index for index, size in enumerate(shape) if size == -1]
    if spec.datatype == "BYTES":
        if any(size not in (1, -1) for size in shape):
            raise invalid(f"a raw binary request is one element, but input '{spec.name}' has {shape_text(spec.shape)}")
        return Tensor("BYTES", (1,) * len(shape), [as_bytes(body)])
    if len(free) > 1:
        raise invalid(f"a raw binary request cannot tell the shape {shape_text(spec.shape)} of input '{spec.name}'")
    size, known = len(as_view(body)), DATATYPE_SIZES[spec.datatype] * math.prod(n for n in shape if n != -1)
    for index in free:
        shape[index] = size // known if known else 0
    expected = DATATYPE_SIZES[spec.datatype] * math.prod(shape)
    if size != expected or not size:
        text = f"input byte size mismatch for input '{spec.name}' for model '{model}'. Expected {expected}, got {size}"
        raise refused("", text)
    return Tensor(spec.datatype, tuple(shape), body)


def shape_text(shape: Any) -> str:
    """A shape as the original writes it: [-1,4]."""
    return f"[{','.join(map(str, shape))}]"
