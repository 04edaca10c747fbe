"""TensorFlow's names of the datatypes: as metadata has them, and as error texts have them."""

from __future__ import annotations

ENUM_NAMES = {
    "BOOL": "DT_BOOL",
    "INT8": "DT_INT8",
    "INT16": "DT_INT16",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
    "UINT8": "DT_UINT8",
    "UINT16": "DT_UINT16",
    "UINT32": "DT_UINT32",
    "UINT64": "DT_UINT64",
    "FP16": "DT_HALF",
    "BF16": "DT_BFLOAT16",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "BYTES": "DT_STRING",
}
TEXT_NAMES = {datatype: name.removeprefix("DT_").lower() for datatype, name in ENUM_NAMES.items()}
