"""The Examples of Classify, Regress and MultiInference, which become the model's named inputs. Pure.

A signature with one input of text that is named `inputs` gets the Examples themselves, serialized, as the original
feeds them; any other gets their features, by the inputs' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from salver.errors import Code, RequestError
from salver.types import DEFAULT_SIGNATURE, Array, Tensor, TensorSpec, VersionInfo
from salver.wire.tfserving.addresses import Verb
from salver.wire.tfserving.datatypes import TEXT_NAMES
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.examples import SERIALIZED, check_suits, takes_examples
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf
from salver.wire.tfserving.request import TfRequest, tensors_request
from salver.wire.tfserving.rpc.predict import with_column
from salver_worker.frames import NUMPY_NAMES

KINDS = {"bytes_list": "string", "float_list": "float", "int64_list": "int64"}
Features: TypeAlias = Mapping[str, tf.Feature]


def examples_request(message: tfs.Input, version: VersionInfo, name: str, verb: Verb) -> TfRequest:
    """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
    signature = version.signature(name)
    if signature is None:
        text = f"No signature was found with the name: {name or DEFAULT_SIGNATURE}"
        raise RequestError(Code.SIGNATURE_NOT_FOUND, text, fix="")
    check_suits(signature, verb)
    examples, context = _given(message)
    if takes_examples(signature):
        tensors = {SERIALIZED: _serialized(examples, context)}
    else:
        rows: list[Features] = [{**context.features.feature, **each.features.feature} for each in examples]
        tensors = {spec.name: _input(spec, rows) for spec in signature.inputs}
    return tensors_request(version, name or DEFAULT_SIGNATURE, signature, tensors, is_row=True)


def _given(message: tfs.Input) -> tuple[Sequence[tf.Example], tf.Example]:
    """The Examples, and what is in all of them."""
    if message.WhichOneof("kind") == "example_list_with_context":
        given = message.example_list_with_context
        examples, context = list(given.examples), given.context
    else:
        examples, context = list(message.example_list.examples), tf.Example()
    if not examples:
        raise invalid("Input is empty.")
    return examples, context


def _serialized(examples: Sequence[tf.Example], context: tf.Example) -> Tensor:
    """Two messages one after the other are one that has the fields of both."""
    raw = context.SerializeToString()
    strings = [raw + example.SerializeToString() for example in examples]
    return Tensor("BYTES", (len(strings),), strings)


def _input(spec: TensorSpec, rows: Sequence[Features]) -> Tensor:
    """One input of all Examples: one value each where the signature has one per row, else as many as it declares."""
    columns = [_values(spec, row) for row in rows]
    size = len(columns[0])
    if any(len(column) != size for column in columns):
        raise invalid(f"Feature: {spec.name} has not the same number of values in all examples.")
    if spec.datatype == "BYTES":
        strings = [value for column in columns for value in column]
        return with_column(Tensor("BYTES", _shape(spec, len(rows), size), strings), spec.shape)
    array = _as_array(spec, np.array(columns))
    return Tensor(spec.datatype, _shape(spec, len(rows), size), array.tobytes())


def _shape(spec: TensorSpec, rows: int, size: int) -> tuple[int, ...]:
    """Values of an Example are a flat list: it takes the form that the signature declares, where it has as many."""
    inner = spec.shape[1:]
    if not inner and size == 1:
        return (rows,)
    if -1 not in inner and int(np.prod(inner, dtype=np.int64)) == size:
        return (rows, *inner)
    return (rows, size)


def _values(spec: TensorSpec, row: Features) -> Sequence[bytes] | Sequence[float]:
    wanted = _wanted(spec.datatype)
    feature = row.get(spec.name)
    kind = None if feature is None else feature.WhichOneof("kind")
    if feature is None or kind is None:
        raise invalid(f"Feature: {spec.name} (data type: {wanted}) is required but could not be found.")
    if KINDS[kind] != wanted:
        raise invalid(
            f"Feature: {spec.name}.  Data types don't match. Data type: {KINDS[kind]} but expected type: {wanted}"
        )
    match kind:
        case "bytes_list":
            return list(feature.bytes_list.value)
        case "float_list":
            return list(feature.float_list.value)
    return list(feature.int64_list.value)


def _wanted(datatype: str) -> str:
    """The kind of feature that can fill an input."""
    if datatype == "BYTES":
        return "string"
    return "float" if datatype in ("FP16", "FP32", "FP64") else "int64"


def _as_array(spec: TensorSpec, values: Array) -> Array:
    dtype = np.dtype(NUMPY_NAMES[spec.datatype])
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if values.size and not bounds.min <= values.min() <= values.max() <= bounds.max:
            raise invalid(f"Feature: {spec.name} has a value that {TEXT_NAMES[spec.datatype]} cannot hold.")
    with np.errstate(over="ignore"):  # a float that a half cannot hold is infinite there
        return values.astype(dtype)
