"""Binds the steps of one row, in their order: each sees what the step before it gives."""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from salver_worker.conversions.catalogue import find_step
from salver_worker.conversions.errors import ConversionError, StepError
from salver_worker.conversions.flow import Flow
from salver_worker.conversions.needs import meet_need
from salver_worker.conversions.parameters import read_values
from salver_worker.conversions.step import ANYTHING, ONE_TEXT, TEXTS, Given, Source, Step


class Declared(NamedTuple):
    """One step as the manifest has it: its row of the catalogue, its parameters' values, and its place."""

    step: Step
    values: Mapping[str, Any]
    where: List[Any]
    written: Any


class Chain(NamedTuple):
    """Bound steps: what comes out of the last one, and the functions to run in order."""

    flow: Flow
    functions: Tuple[Callable[[Any], Any], ...]
    outputs: Optional[Dict[str, Flow]] = None
    ranking: Optional[Dict[str, str]] = None


def read_steps(declared: Any, stage: str, where: List[Any]) -> List[Declared]:
    """The steps of a `convert` list with their parameters checked, each by itself."""
    if not isinstance(declared, list):
        fix = 'Write convert = ["decode_image", { resize = [224, 224] }].'
        raise ConversionError("convert must be a list of steps", where, fix)
    return [_read_step(entry, stage, [*where, index]) for index, entry in enumerate(declared)]


def _read_step(entry: Any, stage: str, where: List[Any]) -> Declared:
    name, given = _name_and_parameters(entry, where)
    step = find_step(name, stage, where)
    try:
        return Declared(step, read_values(step, given), where, given)
    except StepError as error:
        raise _placed(error, step, where, given) from error


def _name_and_parameters(entry: Any, where: List[Any]) -> Tuple[str, Any]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, dict) and len(entry) == 1:
        return next(iter(entry.items()))
    message = "a step must be its name, or a table with one key: its name = its parameters"
    raise ConversionError(message, where, 'Write "decode_image", or { resize = { size = [224, 224] } }.')


def _placed(error: StepError, step: Step, where: List[Any], written: Any) -> ConversionError:
    """A step's error with its place, and the step's parameters as the fix when it brings none."""
    names = ", ".join(parameter.name for parameter in step.parameters)
    fix = error.fix or "The parameters of %s: %s." % (step.name, names or "none")
    place = _place(error.parameter, step, written)
    return ConversionError("%s: %s" % (step.name, error.message), [*where, *place], fix)


def _place(parameter: str, step: Step, written: Any) -> List[str]:
    """The keys, inside a step, of the value at fault; none when it is the step as a whole."""
    if isinstance(written, dict):
        return [step.name, parameter] if parameter in written else []
    return [step.name] if parameter == step.main else []


def bind_source(steps: List[Declared], name: str, target: Flow) -> Tuple[Source, List[Declared]]:
    """What callers send for a row, and the steps that are left.

    A first step may say it. Without one, callers send BYTES, one element for each row, where the first step takes them,
    and else what the model takes.
    """
    first = steps[0] if steps else None
    if first is not None and first.step.source is not None:
        try:
            return first.step.source(name, first.values), steps[1:]
        except StepError as error:
            raise _placed(error, first.step, first.where, first.written) from error
    takes = first.step.takes if first is not None else ANYTHING
    is_text = takes == ONE_TEXT or (takes == TEXTS and target.datatype != "BYTES")
    flow = Flow("BYTES", (-1,)) if is_text else target
    return Source({name: flow}, flow, lambda arrays: arrays[name]), steps


def bind_steps(steps: List[Declared], flow: Flow, folder: str) -> Chain:
    """Bind the steps after the source."""
    chain = Chain(flow, ())
    for declared in steps:
        try:
            chain = _extended(chain, declared, folder)
        except StepError as error:
            raise _placed(error, declared.step, declared.where, declared.written) from error
    return chain


def _extended(chain: Chain, declared: Declared, folder: str) -> Chain:
    step = declared.step
    if step.bind is None:
        raise StepError("must be the first step of its row", fix="Move it to the beginning of convert.")
    if chain.outputs is not None:
        raise StepError("stands after a step that gives several outputs", fix="Move it before that step.")
    flow, preparations = meet_need(step.takes, chain.flow)
    bound = step.bind(Given(flow, declared.values, folder))
    return Chain(bound.flow, chain.functions + preparations + (bound.apply,), bound.outputs, bound.ranking)
