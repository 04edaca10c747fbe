"""Reads the parameters that a manifest gives to a step."""

import json
from typing import Any, Dict

from salver_worker.conversions.errors import StepError
from salver_worker.conversions.names import closest
from salver_worker.conversions.step import REQUIRED, Parameter, Step


def read_values(step: Step, given: Any) -> Dict[str, Any]:
    """Each parameter's value by name, defaults filled in. Raises StepError."""
    table = _as_table(step, given)
    known = {parameter.name: parameter for parameter in step.parameters}
    for name in table:
        if name not in known:
            raise StepError("has no parameter %s%s" % (name, closest(name, known)), name)
    return {name: _read_value(parameter, table) for name, parameter in known.items()}


def _as_table(step: Step, given: Any) -> Dict[str, Any]:
    """The parameters as a table; a bare value is that of the step's main parameter."""
    if isinstance(given, dict):
        return given
    if not step.main:
        raise StepError("takes a table of parameters, not %s" % shown(given))
    return {step.main: given}


def _read_value(parameter: Parameter, table: Dict[str, Any]) -> Any:
    if parameter.name not in table:
        if parameter.default is REQUIRED:
            raise StepError("needs %s: %s" % (parameter.name, parameter.kind.words), parameter.name)
        return None if parameter.default is None else parameter.kind.read(parameter.default)
    value = table[parameter.name]
    try:
        return parameter.kind.read(value)
    except ValueError as error:
        words = str(error) or "must be %s, not %s" % (parameter.kind.words, shown(value))
        raise StepError("%s %s" % (parameter.name, words), parameter.name) from error


def shown(value: Any) -> str:
    """A manifest's value as a message shows it: short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
