"""The manifest's example, run at load: a model that does not give the expected answer does not go live."""

from __future__ import annotations

import json
import mimetypes
import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence

import numpy as np

from salver_worker.arrays import NUMPY_TYPES, bytes_array, widen
from salver_worker.compare import matches, shown
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, describe
from salver_worker.inputs import check_tensor
from salver_worker.runtimes.base import Arrays, BodyModel, BodyRequest

if TYPE_CHECKING:
    from salver_worker.arrays import Array

DEFAULT_TOLERANCE = 0.01
INPUTS = ("example", "inputs")
EXPECT = ("example", "expect")


def run_tensors(
    example: Mapping[str, Any], signature: Mapping[str, Any], folder: str, predict: Callable[[Arrays], Arrays]
) -> Arrays:
    """The outputs for the example. Raises LoadFailure when they are not the expected ones, or there are none."""
    inputs = read_inputs(example.get("inputs") or {}, signature, folder)
    outputs: Arrays = _attempt(lambda: predict(inputs))
    _check(example, {name: output.tolist() for name, output in outputs.items()})
    return outputs


def run_body(example: Mapping[str, Any], folder: str, model: BodyModel) -> str:
    """Sends the example as one request with a part for each input, and checks `expect.body` against the answer.

    Returns the answer as text.
    """
    inputs = example.get("inputs") or {}
    parts = [_part(name, value, folder) for name, value in inputs.items()]
    response = _attempt(lambda: model.predict_bodies([BodyRequest("example", {}, parts)]))[0]
    text = bytes(response.data).decode("utf-8", "replace")
    if response.status >= 400:
        raise _mismatch("the handler answered its example with the status %d: %s" % (response.status, shown(text)))
    wanted = (example.get("expect") or {}).get("body")
    _check(example, {"body": text if isinstance(wanted, str) else parsed(text)})
    return text


def _attempt(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except InputError as error:
        raise _invalid("the model refuses its example: %s" % error, INPUTS) from error
    except Exception as error:  # noqa: BLE001  the boundary: a model's own code may raise anything
        cause = error.__cause__ or error
        raise LoadFailure("the model failed on its own example: %s" % describe(cause)) from cause


def _check(example: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
    tolerance = example.get("tolerance")
    tolerance = DEFAULT_TOLERANCE if tolerance is None else tolerance
    for name, expected in (example.get("expect") or {}).items():
        if name not in answer:
            message = "the answer to the example has no %s; it has: %s" % (name, ", ".join(answer))
            raise _invalid(message, (*EXPECT, name))
        if not matches(expected, answer[name], tolerance):
            values = (name, shown(answer[name]), shown(expected), tolerance)
            raise _mismatch("the example gave %s = %s where %s was expected (tolerance %g)" % values)


def read_inputs(values: Mapping[str, Any], signature: Mapping[str, Any], folder: str) -> Arrays:
    """The example's inputs as arrays of the signature's datatypes. Raises LoadFailure that names the wrong one."""
    specs: Dict[str, Mapping[str, Any]] = {spec["name"]: spec for spec in signature["inputs"]}
    for name in values:
        if name not in specs:
            message = "the example has an input %s; the model's inputs are: %s" % (name, ", ".join(specs))
            raise _invalid(message, (*INPUTS, name))
    for name in specs:
        if name not in values:
            raise _invalid("the example has no input %s" % name, INPUTS)
    return {name: _array(spec, values[name], folder) for name, spec in specs.items()}


def _array(spec: Mapping[str, Any], value: Any, folder: str) -> Array:
    where = (*INPUTS, spec["name"])
    if spec["datatype"] == "BYTES":
        return _bytes(spec, value, folder)
    if isinstance(value, dict):
        raise _invalid("a file gives bytes, and the input %s is %s" % (spec["name"], spec["datatype"]), where)
    try:
        raw = np.asarray(value)
        array: Array = raw.astype(NUMPY_TYPES[widen(spec["datatype"])])
    except (TypeError, ValueError) as error:
        raise _invalid("the example's input %s is not a table of numbers" % spec["name"], where) from error
    if raw.dtype.kind not in "biuf" or (array.dtype.kind in "biu" and not np.array_equal(array, raw)):
        raise _invalid("the example's input %s is not %s" % (spec["name"], spec["datatype"]), where)
    _check_shape(spec, array.shape, array.nbytes)
    return array


def _bytes(spec: Mapping[str, Any], value: Any, folder: str) -> Array:
    if not isinstance(value, list):
        for _ in spec["shape"]:
            value = [value]
    shape: List[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    where = (*INPUTS, spec["name"])
    elements = [_element(item, folder, where) for item in _flat(value)]
    try:
        array = bytes_array(elements, shape)
    except (TypeError, ValueError) as error:
        raise _invalid("the example's input %s: %s" % (spec["name"], error), where) from error
    _check_shape(spec, array.shape, 0)
    return array


def _flat(value: Any) -> List[Any]:
    return [leaf for item in value for leaf in _flat(item)] if isinstance(value, list) else [value]


def _element(item: Any, folder: str, where: Sequence[Any]) -> Any:
    return read_file(folder, item["file"], where) if isinstance(item, dict) and "file" in item else item


def _check_shape(spec: Mapping[str, Any], shape: Sequence[int], size: int) -> None:
    try:
        datatype = widen(spec["datatype"])
        check_tensor({**spec, "datatype": datatype}, datatype, shape, size)
    except InputError as error:
        raise _invalid("the example does not fit: %s" % error, (*INPUTS, spec["name"])) from error


def _part(name: str, value: Any, folder: str) -> Any:
    if isinstance(value, dict) and "file" in value:
        kind = value.get("content_type") or mimetypes.guess_type(value["file"])[0] or ""
        return name, kind, memoryview(read_file(folder, value["file"], (*INPUTS, name)))
    if isinstance(value, str):
        return name, "", memoryview(value.encode())
    return name, "application/json", memoryview(json.dumps(value).encode())


def read_file(folder: str, name: str, where: Sequence[Any]) -> bytes:
    """The bytes of a file beside model.toml. Raises LoadFailure when it is elsewhere or cannot be read."""
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath([root, path]) != root:
        raise _invalid("the file %s lies outside the model's folder" % name, where)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise _invalid("the file %s: %s" % (name, error.strerror or "it cannot be read"), where) from error


def parsed(text: str) -> Any:
    """A text that is JSON as the values that it says, any other as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _invalid(message: str, where: Sequence[Any]) -> LoadFailure:
    return LoadFailure(message, code="MANIFEST_INVALID", fix="Correct [example] in model.toml.", where=where)


def _mismatch(message: str) -> LoadFailure:
    fix = "Correct the model, or the expected answer in model.toml."
    return LoadFailure(message, code="EXAMPLE_MISMATCH", fix=fix, where=EXPECT)
