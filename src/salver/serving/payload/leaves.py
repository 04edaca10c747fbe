"""Values in a flat list become an array of an input's datatype, as the table of coercions says."""

from __future__ import annotations

import binascii
import datetime as dt
import decimal
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pybase64

from salver.errors import RequestError
from salver.serving.payload.coercion import GROUPS, SOURCES, TABLE, Group, Rule, Source
from salver.serving.payload.moments import Moment, iso_text, moment_of, parse_iso, since_1970
from salver.serving.payload.policy import STRICT, Policy
from salver.serving.payload.values import numpy_type, refused
from salver.types import Array, TensorSpec

NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none"})
"""Cells that hold no value, in small letters."""
WORDS = {"true": True, "false": False}
BASE64 = "b64"
PLAIN: Mapping[Group, frozenset[type]] = {
    Group.BOOL: frozenset({bool}),
    Group.WHOLE: frozenset({int}),
    Group.FRACTION: frozenset({int, float}),
    Group.BYTES: frozenset({bytes}),
}
"""What needs no look at each value."""


class Where(NamedTuple):
    """How a value's place is told: `word` and a number from `first` for `width` values each, and the column, if any."""

    width: int = 1
    word: str = "row"
    first: int = 0
    column: str = ""

    def place(self, index: int) -> str:
        place = f"{self.word} {self.first + index // max(1, self.width)}"
        return f"{place}, column '{self.column[:64]}'" if self.column else place


class Unfit(Exception):
    """A value that its input cannot take. `%s` in the text is its place."""


def coerced(leaves: Sequence[Any], spec: TensorSpec, where: Where, policy: Policy = STRICT) -> Array | list[bytes]:
    """The values as an array of the datatype, or as a list of bytes. Raises RequestError(INVALID_INPUT)."""
    group = Group.BYTES if spec.datatype == "BYTES" else GROUPS[numpy_type(spec).kind]
    kinds = set(map(type, leaves))
    if not kinds <= PLAIN[group]:
        rules = {kind: rule_for(kind, group, policy) for kind in kinds}
        for kind in kinds:
            if rules[kind] is Rule.REFUSED:
                raise _refused(kind, spec, group, where, leaves)
        leaves = [_converted(leaf, rules, spec, policy, where, index) for index, leaf in enumerate(leaves)]
    if group is Group.BYTES:
        return list(leaves)
    return as_numbers(leaves, spec, where)


def rule_for(kind: type, group: Group, policy: Policy) -> Rule:
    """The table's rule, or a refusal where it depends on what the caller did not say."""
    rule = TABLE[SOURCES[kind]][group]
    if (rule is Rule.MISSING and not policy.missing_is_nan) or (rule in DATED and not policy.dates):
        return Rule.REFUSED
    return rule


DATED = frozenset({Rule.EPOCH, Rule.EPOCH_OF_TEXT})


def as_numbers(leaves: Sequence[Any], spec: TensorSpec, where: Where) -> Array:
    """Python's numbers as an array, each unchanged but for rounding."""
    dtype = numpy_type(spec)
    if dtype.kind in "iu" and leaves:
        limits = np.iinfo(dtype)
        if min(leaves) < limits.min or max(leaves) > limits.max:
            index = next(at for at, leaf in enumerate(leaves) if not limits.min <= leaf <= limits.max)
            raise outside(spec, where, index)
    if dtype.kind != "f":
        return np.array(leaves, dtype)
    doubles = np.array(leaves, np.float64)
    with np.errstate(over="ignore"):
        array: Array = doubles.astype(dtype, copy=False)
    too_large = np.isinf(array) & ~np.isinf(doubles)
    if too_large.any():
        raise too_large_for(spec, where, int(too_large.argmax()))
    return array


def outside(spec: TensorSpec, where: Where, index: int) -> RequestError:
    limits = np.iinfo(numpy_type(spec))
    text = f"holds a number outside {spec.datatype} ({limits.min} to {limits.max}) in {where.place(index)}"
    return refused(spec, text)


def too_large_for(spec: TensorSpec, where: Where, index: int) -> RequestError:
    return refused(spec, f"holds a number that {spec.datatype} cannot hold, in {where.place(index)}: it is too large")


def no_value(spec: TensorSpec, where: Where, index: int, what: str = "null") -> RequestError:
    text = f"takes {spec.datatype} values and holds {what} in {where.place(index)}"
    takes_nan = spec.datatype in ("FP16", "FP32", "FP64")
    return refused(spec, text, fix="Send a value, or `?missing=nan` to have it read as NaN." if takes_nan else None)


def _refused(kind: type, spec: TensorSpec, group: Group, where: Where, leaves: Sequence[Any]) -> RequestError:
    source = SOURCES[kind]
    index = next(at for at, leaf in enumerate(leaves) if type(leaf) is kind)
    if source is Source.NULL:
        return no_value(spec, where, index)
    takes = 'text or {"b64": "..."}' if group is Group.BYTES else f"{spec.datatype} values"
    fix = "Send numbers, or name the unit that the model wants: `?dates=ms`." if _may_be_dated(source, group) else None
    return refused(spec, f"takes {takes} and holds {source.value} in {where.place(index)}", fix=fix)


def _may_be_dated(source: Source, group: Group) -> bool:
    return source is Source.DATE and TABLE[source][group] in DATED


def _converted(
    leaf: Any, rules: Mapping[type, Rule], spec: TensorSpec, policy: Policy, where: Where, index: int
) -> Any:
    try:
        return CONVERSIONS[rules[type(leaf)]](leaf, policy)
    except Unfit as error:
        raise refused(spec, str(error) % where.place(index)) from error
    except _Nothing as error:
        raise no_value(spec, where, index, f"nothing ('{leaf.strip()}')" if leaf.strip() else "nothing") from error


class _Nothing(Exception):
    """A cell without a value, where one is needed."""


def _unchanged(leaf: Any, _policy: Policy) -> Any:
    return leaf


def _unfractioned(leaf: float | decimal.Decimal, _policy: Policy) -> int:
    if not math.isfinite(leaf) or int(leaf) != leaf:
        raise Unfit("takes whole numbers and holds a number with a fraction in %s")
    return int(leaf)


def _rounded(leaf: Any, _policy: Policy) -> int | float:
    return leaf if type(leaf) is int else float(leaf)


def _binary(leaf: Any, _policy: Policy) -> bool:
    if leaf not in (0, 1):
        raise Unfit("takes true, false, 1 and 0, and holds another number in %s")
    return bool(leaf)


def _decoded(leaf: dict[str, Any], _policy: Policy) -> bytes:
    if leaf.keys() != {BASE64} or not isinstance(leaf[BASE64], str):
        raise Unfit('takes text or {"b64": "..."} and holds an object in %s')
    try:
        return pybase64.b64decode(leaf[BASE64], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unfit("holds a 'b64' value that is not base64 in %s") from error


def _moment(leaf: Moment | dt.datetime) -> Moment:
    return moment_of(leaf) if isinstance(leaf, dt.datetime) else leaf


def _iso(leaf: Any, _policy: Policy) -> bytes:
    try:
        return iso_text(_moment(leaf)).encode()
    except ValueError as error:
        raise Unfit("holds a date in %s that is not in the years 1 to 9999") from error


def _epoch(leaf: Any, policy: Policy) -> int:
    try:
        return since_1970(_moment(leaf), policy.dates)
    except ValueError as error:
        raise Unfit(f"holds a date in %s that is no whole number of {policy.dates}") from error


def _epoch_of_text(leaf: str, policy: Policy) -> int:
    try:
        moment = parse_iso(leaf)
    except ValueError as error:
        raise Unfit("holds text in %s that is no date in ISO 8601") from error
    return _epoch(moment, policy)


def _truth(leaf: str, _policy: Policy) -> bool:
    number = _number(leaf, "true or false")
    if number not in (0, 1):
        raise Unfit(f"has {shown(leaf)} in %s, which is not true or false")
    return bool(number)


def _read_whole(leaf: str, policy: Policy) -> int:
    try:
        return int(leaf) if "_" not in leaf else _not_a(leaf, "a whole number")
    except ValueError:
        moment = _date_or_none(leaf) if policy.dates else None
    if moment is not None:
        return _epoch(moment, policy)
    number = _number(leaf, "a whole number")
    if number % 1:
        _not_a(leaf, "a whole number")
    return int(number)


def _date_or_none(leaf: str) -> Moment | None:
    try:
        return parse_iso(leaf)
    except ValueError:
        return None


def _read_fraction(leaf: str, policy: Policy) -> float:
    try:
        return _number(leaf, "a number")
    except _Nothing:
        if policy.missing_is_nan:
            return math.nan
        raise


def _number(leaf: str, wanted: str) -> float:
    word = leaf.strip().lower()
    if word in NOTHING:
        raise _Nothing
    if word in WORDS:
        return WORDS[word]
    try:
        number = float(leaf) if "_" not in leaf else math.inf
    except ValueError:
        number = math.inf
    return number if math.isfinite(number) else _not_a(leaf, wanted)


def _not_a(leaf: str, wanted: str) -> Any:
    raise Unfit(f"has {shown(leaf)} in %s, which is not {wanted}")


def shown(cell: str) -> str:
    return f"'{cell.strip()[:32]}'".replace("%", "%%")


CONVERSIONS: Mapping[Rule, Callable[[Any, Policy], Any]] = {
    Rule.TAKEN: _unchanged,
    Rule.FITTING: _unchanged,
    Rule.ROUNDED: _rounded,
    Rule.UNFRACTIONED: _unfractioned,
    Rule.BINARY: _binary,
    Rule.ONE: lambda leaf, _policy: int(leaf),
    Rule.TRUTH: _truth,
    Rule.READ_WHOLE: _read_whole,
    Rule.READ_FRACTION: _read_fraction,
    Rule.UTF8: lambda leaf, _policy: leaf.encode(),
    Rule.DECODED: _decoded,
    Rule.ISO: _iso,
    Rule.EPOCH: _epoch,
    Rule.EPOCH_OF_TEXT: _epoch_of_text,
    Rule.MISSING: lambda _leaf, _policy: math.nan,
}
