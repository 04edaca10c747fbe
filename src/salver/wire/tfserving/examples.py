"""The body of `:classify` and `:regress`: examples from feature to value, which become the model's named inputs.

A signature with one input of text that is named `inputs` gets the examples themselves, serialized, as the original
feeds them; any other gets their features, by the inputs' names.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from salver.errors import Code, RequestError
from salver.types import DEFAULT_SIGNATURE, Signature, Tensor, TensorSpec, VersionInfo
from salver.wire.tfserving.addresses import MAX_INT64, Verb
from salver.wire.tfserving.classes import FLOATS, class_columns
from salver.wire.tfserving.codec import parse_document, signature_name
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.request import TfRequest, tensors_request
from salver.wire.tfserving.texts import document_error, fault_text, json_type
from salver.wire.tfserving.values import ValueFault, dense_tensor, is_base64_object

SERIALIZED = "inputs"
Features: TypeAlias = dict[str, list[Any]]


def decode_examples(raw: bytes, version: VersionInfo, verb: Verb) -> TfRequest:
    """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
    document = parse_document(raw)
    name = signature_name(document, raw)
    context = _features(document["context"]) if "context" in document else {}
    examples = [{**context, **_features(example)} for example in _examples(document, raw, verb)]
    signature = version.signature(name)
    if signature is None:
        text = f"No signature was found with the name: {name or DEFAULT_SIGNATURE}"
        raise RequestError(Code.SIGNATURE_NOT_FOUND, text, fix="")
    check_suits(signature, verb)
    if takes_examples(signature):
        tensors = {SERIALIZED: _serialized(examples)}
    else:
        tensors = {spec.name: _input(spec, examples) for spec in signature.inputs}
    return tensors_request(version, name or DEFAULT_SIGNATURE, signature, tensors, is_row=True)


def takes_examples(signature: Signature) -> bool:
    """Whether the model parses Examples by itself."""
    if len(signature.inputs) != 1:
        return False
    (spec,) = signature.inputs
    return spec.name == SERIALIZED and spec.datatype == "BYTES" and len(spec.shape) == 1


def check_suits(signature: Signature, verb: Verb) -> None:
    """Raises RequestError(INVALID_INPUT) when the signature's outputs are no classes, or no single number per row."""
    if verb is Verb.CLASSIFY and class_columns(signature) is None:
        raise invalid(
            "Expected classification signature method_name to be tensorflow/serving/classify. Was: "
            "tensorflow/serving/predict"
        )
    if verb is Verb.REGRESS and not _is_regression(signature):
        raise invalid(
            "Expected regression signature method_name to be tensorflow/serving/regress. Was: "
            "tensorflow/serving/predict"
        )


def _is_regression(signature: Signature) -> bool:
    if len(signature.outputs) != 1 or signature.outputs[0].datatype not in FLOATS:
        return False
    return signature.outputs[0].shape[1:] in ((), (1,))


def _examples(document: dict[str, Any], raw: bytes, verb: Verb) -> list[Any]:
    if "examples" not in document:
        text = f"When method is {verb.value}, key 'examples' is expected and was not found"
        raise document_error(raw, text)
    examples = document["examples"]
    if type(examples) is not list:
        raise document_error(raw, "Expecting 'examples' value to be an list/array")
    if not examples:
        raise document_error(raw, "'examples' value is an empty array")
    return examples


def _features(example: Any) -> Features:
    """One example's features, each a list of values of one kind."""
    if type(example) is not dict:
        raise invalid(f"Example must be JSON object but got JSON {json_type(example)}")
    features: Features = {}
    for name, content in example.items():
        values = content if type(content) is list else [content]
        kinds = [_kind(name, value) for value in values]
        if any(kind != kinds[0] for kind in kinds):
            raise invalid(f"Unexpected element type in feature: {name} expecting type: {kinds[0]}")
        features[name] = values
    return features


def _kind(name: str, value: Any) -> str:
    """The list that a value belongs to in a tf.train.Example, by its JSON token."""
    if type(value) is str or is_base64_object(value):
        return "bytes"
    if type(value) is float:
        return "float"
    if type(value) is bool:
        return "int64"
    if type(value) is not int:
        raise invalid(f"Feature: {name} has element with unexpected JSON type: {json_type(value)}")
    if value > MAX_INT64:
        raise invalid(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return "int64"


def _serialized(examples: list[Features]) -> Tensor:
    """Each as a tf.train.Example, whose lists have the kinds of the JSON values."""
    from salver.wire.tfserving.pb import tensorflow_pb2 as tf

    strings: list[bytes] = []
    for example in examples:
        message = tf.Example()
        for name, values in example.items():
            feature = message.features.feature[name]
            kind = _kind(name, values[0]) if values else ""
            if kind == "bytes":
                feature.bytes_list.value.extend(_texts(name, values))
            elif kind == "float":
                feature.float_list.value.extend(values)
            elif kind:
                feature.int64_list.value.extend(map(int, values))
        strings.append(message.SerializeToString(deterministic=True))
    return Tensor("BYTES", (len(strings),), strings)


def _texts(name: str, values: list[Any]) -> list[bytes]:
    try:
        texts: list[bytes] = dense_tensor(values, "BYTES").data
    except ValueFault as fault:
        raise invalid(f"Feature: {name}: {fault_text(fault, 'BYTES')}") from fault
    return texts


def _input(spec: TensorSpec, examples: list[Features]) -> Tensor:
    """One input of all examples: one value each where the signature has one per row, else a list each."""
    for index, example in enumerate(examples):
        if spec.name not in example:
            raise invalid(f"Feature: {spec.name} is missing in example: {index}")
    rows: list[Any] = [example[spec.name] for example in examples]
    if spec.datatype != "BOOL":
        rows = [[int(value) if type(value) is bool else value for value in row] for row in rows]
    if len(spec.shape) == 1 and all(len(row) == 1 for row in rows):
        rows = [row[0] for row in rows]
    try:
        return dense_tensor(rows, spec.datatype)
    except ValueFault as fault:
        raise invalid(f"Feature: {spec.name}: {fault_text(fault, spec.datatype)}") from fault
