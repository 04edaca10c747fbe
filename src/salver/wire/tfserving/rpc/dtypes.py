"""TensorFlow's datatypes by number: which of ours each is, and where a TensorProto holds its values. Pure."""

from __future__ import annotations

import msgspec

from salver.wire.tfserving.datatypes import ENUM_NAMES
from salver.wire.tfserving.pb import tensorflow_pb2 as tf

FIELDS = {
    "BOOL": "bool_val",
    "INT8": "int_val",
    "INT16": "int_val",
    "INT32": "int_val",
    "INT64": "int64_val",
    "UINT8": "int_val",
    "UINT16": "int_val",
    "UINT32": "uint32_val",
    "UINT64": "uint64_val",
    "FP16": "half_val",
    "BF16": "half_val",
    "FP32": "float_val",
    "FP64": "double_val",
    "BYTES": "string_val",
}


class TfType(msgspec.Struct, frozen=True):
    """One of our datatypes as this protocol has it."""

    datatype: str
    name: str
    field: str


NAMES: dict[int, str] = {number: name for name, number in tf.DataType.items()}
BY_DATATYPE = {datatype: TfType(datatype, name, FIELDS[datatype]) for datatype, name in ENUM_NAMES.items()}
BY_NUMBER: dict[int, TfType] = {int(tf.DataType.Value(each.name)): each for each in BY_DATATYPE.values()}


def type_text(number: int) -> str:
    """A datatype as the original's error texts name it."""
    return NAMES.get(number, f"unknown datatype {number}").removeprefix("DT_").lower()
