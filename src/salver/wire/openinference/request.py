"""A decoded request of this protocol: it remembers its id, and which outputs it wants in which form. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from salver.types import InferRequest
from salver.wire.openinference.document import InferDocument, OutputDocument, flag
from salver.wire.openinference.errors import invalid, refused, shown
from salver.wire.openinference.values import BASE64, RAW_ONLY

BINARY = "binary_data"
BINARY_DEFAULT = "binary_data_output"
CLASSIFICATION = "classification"
MAX_CLASSES = 1 << 31


class Wish(msgspec.Struct, frozen=True, gc=False):
    """How one output is to be answered."""

    name: str
    is_binary: bool = False
    is_base64: bool = False
    """In JSON, whether its bytes are written as base64."""
    classes: int = 0
    """How many of its highest values are wanted, with their places; 0: the output itself."""


class V2Request(InferRequest, gc=False):
    """`wishes` None asks for all outputs, each as `is_binary` says."""

    id: str = ""
    wishes: tuple[Wish, ...] | None = None
    is_binary: bool = False
    encoding: str = ""
    """What its answer may be compressed with."""
    is_generated: bool = False
    """Whether it came as an object whose keys are inputs, and is answered so."""


def wishes_of(document: InferDocument, declared: Mapping[str, str], model: str) -> tuple[Wish, ...] | None:
    """The outputs that are asked for, each once; `declared` are the model's with their datatypes, empty when it says
    nothing of them. Raises RequestError(INVALID_INPUT)."""
    is_binary = binary_default(document)
    if not document.outputs:
        if not is_binary:
            for name, datatype in declared.items():
                _check_form(Wish(name), datatype)
        return None
    wishes: dict[str, Wish] = {}
    for asked in document.outputs:
        if declared and asked.name not in declared:
            text = f"unexpected inference output '{shown(asked.name)}' for model '{model}'"
            raise refused(document.id or "", text)
        wish = wishes[asked.name] = _wish(asked, is_binary=is_binary)
        _check_form(wish, declared.get(asked.name, ""))
    return tuple(wishes.values())


def binary_default(document: InferDocument) -> bool:
    """Whether outputs of which nothing else is said come as raw bytes."""
    return bool(document.parameters) and flag(BINARY_DEFAULT, _of(document, BINARY_DEFAULT))


def raw_only(datatype: str) -> str:
    """The original's text for an output that JSON does not carry."""
    return f"sending {datatype} data via JSON is not supported. Please use the binary data format for output"


def _wish(asked: OutputDocument, *, is_binary: bool) -> Wish:
    if asked.parameter("shared_memory_region") is not None:
        raise invalid(NO_SHARED_MEMORY)
    own = asked.parameter(BINARY)
    is_binary = is_binary if own is None else flag(BINARY, own)
    classes = asked.parameter(CLASSIFICATION)
    if classes is not None and (type(classes) is not int or not 0 < classes < MAX_CLASSES):
        raise invalid(f"Unable to parse 'outputs': '{CLASSIFICATION}' must be a whole number above 0")
    return Wish(asked.name, is_binary, asked.parameter("content_type") == BASE64, int(classes or 0))


NO_SHARED_MEMORY = (
    "shared memory regions of clients are not supported by this server. Please send the data in the request, in the "
    "binary data format"
)


def _check_form(wish: Wish, datatype: str) -> None:
    if datatype in RAW_ONLY and not wish.is_binary and not wish.classes:
        raise invalid(raw_only(datatype))


def _of(document: InferDocument, name: str) -> Any:
    return None if document.parameters is None else document.parameters.get(name)
