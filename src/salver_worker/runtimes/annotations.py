"""What a function's annotations say of its inputs and outputs.

NumPy arrays, and parameters without an annotation, mean the whole batch; Python's own types mean one row.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import typing
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from salver_worker.arrays import DATATYPES
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import tensor

SCALARS: Dict[Any, str] = {float: "FP64", int: "INT64", bool: "BOOL", str: "BYTES", bytes: "BYTES"}
LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)
ITERATORS = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)
ITERABLES = (collections.abc.Iterable, collections.abc.AsyncIterable)
RECORDS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
UNDERSTOOD = "float, int, bool, str, bytes, lists of them, dict, TypedDict, NumPy arrays and pandas.DataFrame"

ROW = "row"
BATCH = "batch"
RECORD = "record"
TABLE = "table"
OPEN = "open"


class Kind(NamedTuple):
    """What one annotation asks for.

    `style` is ROW (one row's value), BATCH (an array of all rows), RECORD (one row's values as a dict), TABLE (all rows
    as a pandas.DataFrame) or OPEN (no annotation: as the other parameters). `datatype` is empty and `shape` None where
    the annotation does not tell. `fields` are those of a record.
    """

    style: str
    datatype: str = ""
    shape: Optional[Tuple[int, ...]] = None
    is_text: bool = False
    fields: Tuple[Tuple[str, Kind], ...] = ()


def kind_of(annotation: Any) -> Optional[Kind]:
    """The kind that an annotation names; None when it is none of those understood."""
    annotation = _unaliased(annotation)
    if annotation in (inspect.Parameter.empty, Any):
        return Kind(OPEN)
    if annotation in SCALARS:
        return Kind(ROW, SCALARS[annotation], (-1,), annotation is str)
    if annotation is np.ndarray or typing.get_origin(annotation) is np.ndarray:
        return _array_kind(annotation)
    origin = typing.get_origin(annotation) or annotation
    if origin in LISTS:
        return _list_kind(annotation)
    if origin in RECORDS:
        return Kind(RECORD)
    if _is_dataframe(annotation):
        return Kind(TABLE)
    fields = field_kinds(annotation)
    return Kind(RECORD, fields=fields) if fields and issubclass(annotation, dict) else None


def _unaliased(annotation: Any) -> Any:
    """What a name made by a `type` statement stands for (PEP 695); `numpy.typing.NDArray` is one since NumPy 2.5."""
    value = getattr(typing.get_origin(annotation) or annotation, "__value__", None)
    if value is None:
        return annotation
    arguments = typing.get_args(annotation)
    return value[arguments] if arguments else value


def _array_kind(annotation: Any) -> Kind:
    arguments = typing.get_args(annotation)
    scalar = typing.get_args(arguments[1]) if len(arguments) > 1 else ()
    if not scalar or not isinstance(scalar[0], type):
        return Kind(BATCH)
    if issubclass(scalar[0], (np.str_, np.bytes_)):
        return Kind(BATCH, "BYTES", None, scalar[0] is np.str_)
    try:
        return Kind(BATCH, DATATYPES.get(np.dtype(scalar[0]), ""))
    except TypeError:  # an abstract type such as numpy.floating
        return Kind(BATCH)


def _list_kind(annotation: Any) -> Optional[Kind]:
    arguments = typing.get_args(annotation)
    inner = kind_of(arguments[0]) if arguments else Kind(ROW, "FP64", (-1,))
    if inner is None or inner.style != ROW or inner.shape is None:
        return None
    return inner._replace(shape=(*inner.shape, -1))


def _is_dataframe(annotation: Any) -> bool:
    module = str(getattr(annotation, "__module__", ""))
    return module.partition(".")[0] == "pandas" and getattr(annotation, "__name__", "") == "DataFrame"


def field_kinds(annotation: Any) -> Tuple[Tuple[str, Kind], ...]:
    """The fields of a TypedDict, NamedTuple or dataclass; none of anything else, or when one is not understood."""
    is_record = isinstance(annotation, type) and (
        dataclasses.is_dataclass(annotation) or hasattr(annotation, "_fields") or hasattr(annotation, "__total__")
    )
    kinds = [(name, kind_of(hint)) for name, hint in hints(annotation).items()] if is_record else []
    return tuple((name, kind) for name, kind in kinds if kind is not None) if all(kind for _, kind in kinds) else ()


def hints(owner: Any) -> Dict[str, Any]:
    """The annotations of a function or class. Raises LoadFailure when one of them names what does not exist."""
    try:
        return typing.get_type_hints(owner)
    except Exception as error:
        name = getattr(owner, "__qualname__", str(owner))
        raise LoadFailure("the annotations of %s cannot be read: %s" % (name, error)) from error


class Parameter(NamedTuple):
    """One parameter that is fed by callers' tensors."""

    name: str
    kind: Kind


class FunctionShape(NamedTuple):
    """What a function's header says: its inputs, its options (parameters with defaults), and how often it is called.

    `returned` is the annotation of its result; where it `gives_parts`, of one of them.
    """

    parameters: Tuple[Parameter, ...]
    options: Dict[str, Any]
    takes_any_name: bool
    is_by_row: bool
    returned: Any
    gives_parts: bool


def read_function(function: Callable[..., Any]) -> FunctionShape:
    """Raises LoadFailure when the function cannot be served as it is declared."""
    known = hints(function)
    parameters: List[Parameter] = []
    options: Dict[str, Any] = {}
    takes_any_name = False
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            takes_any_name = True
        elif parameter.default is not inspect.Parameter.empty:
            options[name] = parameter.default
        elif parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise LoadFailure("the parameter %s has no name that callers could use" % name)
        else:
            parameters.append(Parameter(name, _parameter_kind(name, known.get(name, inspect.Parameter.empty))))
    is_by_row = _is_by_row([parameter.kind.style for parameter in parameters])
    returned, gives_parts = _returned(function, known.get("return", Any))
    return FunctionShape(tuple(parameters), options, takes_any_name, is_by_row, returned, gives_parts)


def _returned(function: Callable[..., Any], annotation: Any) -> Tuple[Any, bool]:
    """What is returned or yielded, and whether it is yielded: by a generator, or by an iterator that is returned."""
    yields = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    origin = typing.get_origin(annotation) or annotation
    if origin in ITERATORS or (yields and origin in ITERABLES):
        arguments = typing.get_args(annotation)
        return (arguments[0] if arguments else Any), True
    return annotation, yields


def _parameter_kind(name: str, annotation: Any) -> Kind:
    kind = kind_of(annotation)
    if kind is None:
        raise LoadFailure(
            "the parameter %s is annotated %s, which is not understood" % (name, annotation),
            fix="Use %s, or leave the annotation out." % UNDERSTOOD,
        )
    return kind


def _is_by_row(styles: List[str]) -> bool:
    if (RECORD in styles or TABLE in styles) and len(styles) > 1:
        raise LoadFailure(
            "a dict or DataFrame holds all inputs, and the function has further parameters",
            fix="Give those a default value, which makes them options, or name each input as a parameter.",
        )
    if ROW in styles and BATCH in styles:
        raise LoadFailure(
            "some parameters mean one row (float, str, list, ...) and some the whole batch (NumPy arrays)",
            fix="Annotate all of them in one of the two ways.",
        )
    return ROW in styles or RECORD in styles


def returned_outputs(annotation: Any, *, is_by_row: bool) -> List[Dict[str, Any]]:
    """The outputs that a return annotation tells; none where it leaves names, datatypes or shapes open."""
    fields = field_kinds(annotation)
    if fields:
        return _field_outputs(fields, is_by_row=is_by_row)
    if typing.get_origin(annotation) is tuple:
        kinds = [kind_of(argument) for argument in typing.get_args(annotation)]
        named = tuple(("output_%d" % index, kind) for index, kind in enumerate(kinds) if kind is not None)
        return _field_outputs(named, is_by_row=is_by_row) if len(named) == len(kinds) else []
    kind = kind_of(annotation)
    return _field_outputs((("output", kind),), is_by_row=is_by_row) if kind is not None else []


def _field_outputs(fields: Tuple[Tuple[str, Kind], ...], *, is_by_row: bool) -> List[Dict[str, Any]]:
    outputs = []
    for name, kind in fields:
        shape = kind.shape if is_by_row or kind.shape is None else kind.shape[1:]
        if kind.style != ROW or not shape:
            return []
        outputs.append(tensor(name, kind.datatype, shape))
    return outputs
