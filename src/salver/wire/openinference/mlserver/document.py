"""A request in MLServer's form, and what it means to a model with a signature. Pure.

MLServer's runtimes look at neither the name nor the datatype of an only input. Clients rely on that, so an only input
has here the name that the model gives it, and numbers the model's datatype.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from salver.types import Signature, TensorSpec
from salver.wire.jsonbody import JsonError, JsonFault, parse_json
from salver.wire.openinference.columns import TABLE
from salver.wire.openinference.document import InferDocument, InputDocument, OutputDocument
from salver.wire.openinference.errors import invalid, shown
from salver.wire.openinference.mlserver.errors import NO_DOCUMENT, Unprocessable, entry
from salver.wire.openinference.values import flat
from salver_worker.frames import NUMPY_NAMES

DATATYPES = (
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES",
)  # fmt: skip
EXPECTED = f"{', '.join(map(repr, DATATYPES[:-1]))} or {DATATYPES[-1]!r}"
NOT_AN_OBJECT = "Input should be a valid dictionary or object to extract fields from"
HEADERS = "headers"
DEFAULT_OUTPUT = "predict"
"""What MLServer's runtimes for estimators answer when a request asks for nothing."""


def parse(raw: bytes) -> InferDocument:
    """Raises Unprocessable."""
    value = parse_object(raw)
    wrong = tuple(_problems(value))
    if wrong:
        raise Unprocessable(*wrong)
    inputs = [_scalars(item) | {"data": _listed(item["data"])} for item in value["inputs"]]
    try:
        return msgspec.convert(_scalars(value) | {"inputs": inputs}, InferDocument)
    except msgspec.ValidationError as error:
        raise Unprocessable(entry("value_error", ["body"], str(error), None)) from error


def _listed(data: Any) -> list[Any]:
    return data if type(data) is list else [data]


def _scalars(item: dict[str, Any]) -> dict[str, Any]:
    """Without the parameters that say nothing, and without the headers, which clients of MLServer send as an object."""
    given = item.get("parameters")
    if type(given) is not dict:
        return item
    return item | {
        "parameters": {name: value for name, value in given.items() if value is not None and name != HEADERS}
    }


def parse_object(raw: bytes) -> dict[str, Any]:
    """The object of a body. Raises Unprocessable."""
    try:
        value = parse_json(raw)
    except JsonError as error:
        if error.fault is JsonFault.EMPTY:
            raise Unprocessable(NO_DOCUMENT) from error
        wrong = entry("json_invalid", ["body", error.offset or 0], "JSON decode error", {})
        raise Unprocessable(wrong | {"ctx": {"error": error.fault.value}}) from error
    if type(value) is not dict:
        raise Unprocessable(entry("model_attributes_type", ["body"], NOT_AN_OBJECT, value))
    return value


def _problems(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "inputs" not in value:
        yield entry("missing", ["body", "inputs"], "Field required", value)
        return
    if type(value["inputs"]) is not list:
        yield entry("list_type", ["body", "inputs"], "Input should be a valid list", value["inputs"])
        return
    for place, item in enumerate(value["inputs"]):
        where: list[str | int] = ["body", "inputs", place]
        if type(item) is not dict:
            yield entry("model_attributes_type", where, NOT_AN_OBJECT, item)
            continue
        for key in ("name", "shape", "datatype", "data"):
            if key not in item:
                yield entry("missing", [*where, key], "Field required", item)
        if "datatype" in item and item["datatype"] not in DATATYPES:
            wrong = entry("enum", [*where, "datatype"], f"Input should be {EXPECTED}", item["datatype"])
            yield wrong | {"ctx": {"expected": EXPECTED}}


def adapted(document: InferDocument, signature: Signature, pieces: list[bytes] | None = None) -> InferDocument:
    """The request as the signature has it; `pieces` are its raw tensors, which are changed with it.

    Raises RequestError(INVALID_INPUT).
    """
    outputs = document.outputs
    if not outputs and any(spec.name == DEFAULT_OUTPUT for spec in signature.outputs):
        outputs = [OutputDocument(DEFAULT_OUTPUT)]
    given = document.inputs
    if len(signature.inputs) != 1 or (document.parameters or {}).get("content_type") == TABLE:
        specs = {spec.name: spec for spec in signature.inputs}
        inputs = [
            _fitted(item, specs[item.name], pieces, place) if item.name in specs else item
            for place, item in enumerate(given)
        ]
    else:
        if len(given) != 1:
            raise invalid(
                "There was an error encoding / decoding the payload: The 'np' codec only supports a single input "
                f"tensor ({len(given)} were received)"
            )
        (spec,) = signature.inputs
        inputs = [_fitted(msgspec.structs.replace(given[0], name=spec.name), spec, pieces, 0)]
    return msgspec.structs.replace(document, inputs=inputs, outputs=outputs)


def _fitted(item: InputDocument, spec: TensorSpec, pieces: list[bytes] | None, place: int) -> InputDocument:
    shape = shape_for(spec, item.shape)
    is_cast = "BYTES" not in (item.datatype, spec.datatype) and item.datatype != spec.datatype
    if not is_cast or item.datatype not in NUMPY_NAMES or spec.datatype not in NUMPY_NAMES:
        return msgspec.structs.replace(item, shape=shape)
    if pieces is None:
        data = _numbers(item) if item.datatype == "BOOL" else item.data
        return msgspec.structs.replace(item, shape=shape, datatype=spec.datatype, data=data)
    pieces[place] = _cast(item, spec, pieces[place])
    parameters = {**(item.parameters or {}), "binary_data_size": len(pieces[place])}
    return InputDocument(spec.name, spec.datatype, shape, parameters)


def _numbers(item: InputDocument) -> list[Any]:
    """True and false as 1 and 0."""
    return [int(leaf) if type(leaf) is bool else leaf for leaf in flat(item.data or [])]


def shape_for(spec: TensorSpec, shape: list[int]) -> list[int]:
    """A column and a list of values are the same to MLServer."""
    if len(spec.shape) == 1 and len(shape) == 2 and shape[1] == 1:
        return shape[:1]
    if len(spec.shape) == 2 and spec.shape[1] == 1 and len(shape) == 1:
        return [*shape, 1]
    return shape


def _cast(item: InputDocument, spec: TensorSpec, raw: bytes) -> bytes:
    """The values in another datatype. Raises RequestError(INVALID_INPUT) for numbers that it has not."""
    name = shown(item.name)
    given = np.dtype(NUMPY_NAMES[item.datatype])
    if len(raw) % given.itemsize:
        raise invalid(f"input '{name}' has {len(raw)} bytes, which are no whole elements of {item.datatype}")
    values = np.frombuffer(raw, given)
    wanted = np.dtype(NUMPY_NAMES[spec.datatype])
    with np.errstate(all="ignore"):
        cast = values.astype(wanted)
        is_kept = wanted.kind == "f" or bool((cast.astype(given) == values).all())
    if not is_kept:
        raise invalid(f"input '{name}' holds a number outside {spec.datatype}")
    return cast.tobytes()
