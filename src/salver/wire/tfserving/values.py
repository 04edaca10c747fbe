"""JSON values as the values of a tensor: what each datatype takes, and what is wrong with what it does not take.

A tensor is nested lists of equal lengths whose leaves all fit one datatype: numbers, booleans, or for BYTES a string or
``{"b64": "<standard alphabet, padding optional>"}``. Faults are facts here; ``texts.py`` has the words for them.
"""

from __future__ import annotations

import enum
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pybase64

from salver.types import Tensor, nested_list_shape
from salver_worker.frames import NUMPY_NAMES


class ElementRule(msgspec.Struct, frozen=True):
    """The JSON leaves that one datatype takes. `low` and `high` are both None where every such leaf fits."""

    types: frozenset[type]
    low: float | int | None = None
    high: float | int | None = None


def _integers(low: int, high: int) -> ElementRule:
    return ElementRule(frozenset((int,)), low, high)


def _floats(limit: float | None) -> ElementRule:
    low = None if limit is None else -limit
    return ElementRule(frozenset((float, int)), low, limit)


RULES: dict[str, ElementRule] = {
    "BOOL": ElementRule(frozenset((bool,))),
    "INT8": _integers(-(2**7), 2**7 - 1),
    "INT16": _integers(-(2**15), 2**15 - 1),
    "INT32": _integers(-(2**31), 2**31 - 1),
    "INT64": _integers(-(2**63), 2**63 - 1),
    "UINT8": _integers(0, 2**8 - 1),
    "UINT16": _integers(0, 2**16 - 1),
    "UINT32": _integers(0, 2**32 - 1),
    "UINT64": _integers(0, 2**64 - 1),
    "FP16": _floats(65504.0),
    "FP32": _floats(3.4028234663852886e38),
    "FP64": _floats(None),
    "BYTES": ElementRule(frozenset((str, dict))),
}
"""BF16 is not here: NumPy has no such type, so it cannot be sent as JSON."""


class FaultKind(enum.Enum):
    """What can be wrong with nested lists that should be a tensor."""

    VALUE_FOR_LIST = "value where a list is expected"
    LIST_FOR_VALUE = "list where a value is expected"
    LENGTH = "list of another length"
    TYPE = "leaf of another type"
    RANGE = "number that does not fit"
    BASE64_FORM = 'object that is not {"b64": "..."}'
    BASE64_TEXT = "text that is not base64"
    UNSUPPORTED = "datatype that JSON cannot carry"


class ValueFault(Exception):
    """The first fault in reading order, as facts.

    `path` are the indices that lead to `value`; `expected` and `got` are lengths for LENGTH, and for the two kinds
    before it `expected` is the rank that the first elements claim.
    """

    def __init__(self, kind: FaultKind, value: Any, path: tuple[int, ...], expected: int = 0, got: int = 0) -> None:
        super().__init__(kind.value)
        self.kind = kind
        self.value = value
        self.path = path
        self.expected = expected
        self.got = got


def dense_tensor(value: Any, datatype: str) -> Tensor:
    """Nested lists (or one value) as a tensor of the shape that their first elements claim. Raises ValueFault."""
    rule = RULES.get(datatype)
    shape = nested_list_shape(value)
    if rule is None:
        raise ValueFault(FaultKind.UNSUPPORTED, value, ())
    leaves = _leaves([value], shape)
    read = None if leaves is None else _read(leaves, rule)
    if read is None:
        raise _fault(value, shape, rule, ())
    if datatype == "BYTES":
        return Tensor(datatype, shape, read)
    return Tensor(datatype, shape, value if shape else np.array(value, NUMPY_NAMES[datatype]))


def first_misfit(items: list[Any], shape: tuple[int, ...], datatype: str) -> int | None:
    """The index of the first item that is no tensor of this datatype and shape; None when all are."""
    rule = RULES.get(datatype)
    if rule is None:
        return 0 if items else None
    return None if _are_dense(items, shape, rule) else _first_bad(items, shape, rule)


# Leaves


def _leaves(level: list[Any], shape: tuple[int, ...]) -> list[Any] | None:
    """All leaves of some items of one shape, in order; None when a list is not as long as `shape` says.

    What the leaves are is not looked at.
    """
    for size in shape:
        for item in level:
            if type(item) is not list or len(item) != size:
                return None
        level = list(chain.from_iterable(level))
    return level


def _read(leaves: list[Any], rule: ElementRule) -> list[Any] | None:
    """The leaves as the datatype has them, or None when one does not fit."""
    if not rule.types.issuperset(map(type, leaves)):
        return None
    if dict in rule.types:
        elements = [leaf.encode() if type(leaf) is str else base64_bytes(leaf) for leaf in leaves]
        return None if None in elements else elements
    if rule.low is None or rule.high is None or not leaves or rule.low <= min(leaves) <= max(leaves) <= rule.high:
        return leaves
    return None


def _are_dense(items: list[Any], shape: tuple[int, ...], rule: ElementRule) -> bool:
    leaves = _leaves(items, shape)
    return leaves is not None and _read(leaves, rule) is not None


def _first_bad(items: list[Any], shape: tuple[int, ...], rule: ElementRule) -> int:
    """The first item that is not dense, where one is not; halving keeps the search as quick as the check."""
    low, high = 0, len(items)
    while high - low > 1:
        middle = (low + high) // 2
        if _are_dense(items[low:middle], shape, rule):
            low = middle
        else:
            high = middle
    return low


def _fault(value: Any, shape: tuple[int, ...], rule: ElementRule, path: tuple[int, ...]) -> ValueFault:
    """The first fault of a value that is known to have one; `shape` is what is left of it behind `path`."""
    if type(value) is not list:
        kind = FaultKind.VALUE_FOR_LIST if shape else _leaf_fault(value, rule)
        return ValueFault(kind, value, path, expected=len(path) + len(shape))
    if not shape:
        return ValueFault(FaultKind.LIST_FOR_VALUE, value, path, expected=len(path))
    if len(value) != shape[0]:
        return ValueFault(FaultKind.LENGTH, value, path, expected=shape[0], got=len(value))
    index = _first_bad(value, shape[1:], rule)
    return _fault(value[index], shape[1:], rule, (*path, index))


def _leaf_fault(leaf: Any, rule: ElementRule) -> FaultKind:
    if type(leaf) not in rule.types:
        return FaultKind.TYPE
    if type(leaf) is dict:
        return FaultKind.BASE64_TEXT if is_base64_object(leaf) else FaultKind.BASE64_FORM
    return FaultKind.RANGE


def is_base64_object(value: Any) -> bool:
    """Whether a value has the form of bytes: an object with the one key `b64`, a string."""
    return type(value) is dict and len(value) == 1 and type(value.get("b64")) is str


def base64_bytes(value: dict[str, Any]) -> bytes | None:
    """The bytes of such an object, or None when it is not one. White space is skipped, padding may be left out."""
    if not is_base64_object(value):
        return None
    text: str = value["b64"]
    found = _decoded(text)
    return _decoded("".join(text.split())) if found is None else found


def _decoded(text: str) -> bytes | None:
    try:
        return pybase64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
