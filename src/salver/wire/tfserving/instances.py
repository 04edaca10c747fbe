"""The row form, `instances`: elements that are all values of the one input, or all objects from input to value."""

from __future__ import annotations

from typing import Any

from salver.errors import RequestError
from salver.types import Signature, Tensor, TensorSpec, nested_list_shape
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.request import shape_text
from salver.wire.tfserving.texts import echo, fault_status
from salver.wire.tfserving.values import ValueFault, dense_tensor, first_misfit, is_base64_object


def instance_tensors(elements: list[Any], signature: Signature) -> dict[str, Tensor]:
    """One tensor per input, its first dimension the elements. Raises RequestError(INVALID_INPUT)."""
    if _is_object(elements[0]):
        return _object_tensors(elements, {spec.name: spec for spec in signature.inputs})
    if len(signature.inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return _value_tensors(elements, signature.inputs[0])


def _is_object(element: Any) -> bool:
    return type(element) is dict and not is_base64_object(element)


def _value_tensors(elements: list[Any], spec: TensorSpec) -> dict[str, Tensor]:
    try:
        return {spec.name: dense_tensor(elements, spec.datatype)}
    except ValueFault as fault:
        raise _value_error(elements, spec) from fault


def _value_error(elements: list[Any], spec: TensorSpec) -> RequestError:
    """The text for the first element that is not like the first one."""
    objects = (index for index, element in enumerate(elements) if _is_object(element))
    end = next(objects, len(elements))
    index = _misfit(elements[:end], spec)
    if index is None:
        return invalid(f"Expecting value/list but got object at item {end} of input list")
    status = _status(elements[index], elements[0], spec.datatype)
    return invalid(f"Failed to process element: {index} of 'instances' list. Error: {status}")


def _object_tensors(elements: list[Any], specs: dict[str, TensorSpec]) -> dict[str, Tensor]:
    names = specs.keys()
    if any(type(element) is not dict or element.keys() != names for element in elements):
        raise _object_error(elements, specs)
    tensors: dict[str, Tensor] = {}
    try:
        for name, spec in specs.items():
            tensors[name] = dense_tensor([element[name] for element in elements], spec.datatype)
    except ValueFault as fault:
        raise _object_error(elements, specs) from fault
    return tensors


def _object_error(elements: list[Any], specs: dict[str, TensorSpec]) -> RequestError:
    """The text for the first element that is no object, or not like the first one, input by input."""
    names = specs.keys()
    unlike = (index for index, element in enumerate(elements) if type(element) is not dict or element.keys() != names)
    end = next(unlike, len(elements))
    columns = ([element[spec.name] for element in elements[:end]] for spec in specs.values())
    misfits = [_misfit(column, spec) for column, spec in zip(columns, specs.values(), strict=True) if column]
    index = min((index for index in misfits if index is not None), default=end)
    element = elements[index]
    if not _is_object(element):
        return invalid(f"Expecting object but got list at item {index} of input list")
    for name, value in element.items():
        if status := _input_status(value, elements[0].get(name), specs.get(name), name):
            return invalid(f"Failed to process element: {index} key: {name} of 'instances' list. Error: {status}")
    sent = echo(element)
    return invalid(
        f"Failed to process element: {index} of 'instances' list. JSON object: {sent} keys must be equal to: "
        + ",".join(sorted(names))
    )


def _input_status(value: Any, first: Any, spec: TensorSpec | None, name: str) -> str:
    """What is wrong with one input of one element; empty when nothing is."""
    if spec is None:
        return f"INVALID_ARGUMENT: JSON object: does not have named input: {name}"
    return _status(value, first, spec.datatype)


def _misfit(values: list[Any], spec: TensorSpec) -> int | None:
    """The first value that is no tensor, or of another shape than the first value's."""
    return first_misfit(values, nested_list_shape(values[0]), spec.datatype)


def _status(value: Any, first: Any, datatype: str) -> str:
    """What is wrong with a value whose fellow is `first`; empty when nothing is."""
    try:
        got = dense_tensor(value, datatype).shape
    except ValueFault as fault:
        return fault_status(fault, datatype)
    expected = nested_list_shape(first)
    if got == expected:
        return ""
    expected_size, got_size = _size(expected), _size(got)
    if expected_size != got_size:
        return f"INVALID_ARGUMENT: Expecting tensor size: {expected_size} but got: {got_size}"
    return f"INVALID_ARGUMENT: Expecting shape {shape_text(expected)} but got: {shape_text(got)}"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for dim in shape:
        size *= dim
    return size
