"""What [[inputs]] and [[outputs]] rows have in common: their keys, and the side of the model that they belong to."""

from typing import Any, List, Mapping, Sequence

from salver_worker.conversions.errors import ConversionError
from salver_worker.conversions.flow import Flow
from salver_worker.conversions.names import closest, listed


def check_keys(row: Mapping[str, Any], known: Sequence[str], where: List[Any]) -> None:
    """Refuse a key that no row has; it is most likely a misspelt one."""
    for key in row:
        if key not in known:
            fix = "The keys are %s." % listed(known)
            raise ConversionError('there is no key "%s"%s' % (key, closest(key, known)), [*where, key], fix)


def text_of(row: Mapping[str, Any], key: str, where: List[Any]) -> str:
    """A key's text; empty when it is left out. Raises ConversionError for anything else."""
    value = row.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or not value:
        raise ConversionError("%s must be a name" % key, [*where, key], 'Write %s = "a_name".' % key)
    return value


def find_side(row: Mapping[str, Any], key: str, known: Mapping[str, Flow], noun: str, where: List[Any]) -> str:
    """The model's input or output that a row is about: named under `key`, or as the row itself is, or the only one."""
    given, name = text_of(row, key, where), text_of(row, "name", where)
    fix = "The model's %ss: %s." % (noun, listed(known))
    if not known:
        advice = "Let the model declare its %ss: a Python file does so with SIGNATURE." % noun
        raise ConversionError("the model does not say which %ss it has" % noun, where, advice)
    if given and given not in known:
        message = 'the model has no %s "%s"%s' % (noun, given, closest(given, known))
        raise ConversionError(message, [*where, key], fix)
    if given or name in known:
        return given or name
    if len(known) != 1:
        message = "the model has %d %ss, so the row must say which one it %s" % (len(known), noun, key)
        raise ConversionError(message, where, 'Add %s = "...". %s' % (key, fix))
    return next(iter(known))
