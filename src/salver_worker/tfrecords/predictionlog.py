"""A PredictionLog: which call was recorded, of which signature, and what it was asked."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from salver_worker.tfrecords.fields import (
    MessageError,
    Value,
    fields_of,
    integers,
    message,
    messages,
    numbers,
    text,
)
from salver_worker.tfrecords.tensors import read_tensor

PREDICT, CLASSIFY, REGRESS, MULTI_INFERENCE, SESSION_RUN = 6, 2, 3, 4, 5
REQUEST = 1
DEFAULT_SIGNATURE = "serving_default"


class Recorded(NamedTuple):
    """A request as the model is asked: its signatures, and its inputs by name, or its examples.

    `examples` are the features of each, `serialized` the same as bytes.
    """

    signatures: Tuple[str, ...]
    tensors: Dict[str, Any]
    examples: List[Dict[str, List[Any]]]
    serialized: Sequence[bytes] = ()


class NotReplayed(Exception):
    """A kind of request that a model here is never asked."""


def read_log(record: bytes) -> Recorded:
    """Raises MessageError, and NotReplayed for a call that there is not."""
    fields = fields_of(record)
    if PREDICT in fields:
        return _predict(_request(fields, PREDICT))
    for kind in (CLASSIFY, REGRESS):
        if kind in fields:
            request = _request(fields, kind)
            return _of_examples((_signature(message(request, 1)),), message(request, 2))
    if MULTI_INFERENCE in fields:
        request = _request(fields, MULTI_INFERENCE)
        tasks = [_signature(message(fields_of(task), 1)) for task in messages(request, 1)]
        return _of_examples(tuple(tasks), message(request, 2))
    if SESSION_RUN in fields:
        raise NotReplayed("it names nodes of a TensorFlow graph (session_run_log)")
    raise MessageError("it holds no request")


def _request(fields: Dict[int, List[Value]], kind: int) -> Dict[int, List[Value]]:
    return fields_of(message(fields_of(message(fields, kind)), REQUEST))


def _signature(model_spec: bytes) -> str:
    return text(fields_of(model_spec), 3) or DEFAULT_SIGNATURE


def _predict(request: Dict[int, List[Value]]) -> Recorded:
    tensors = {}
    for entry in messages(request, 2):
        fields = fields_of(entry)
        tensors[text(fields, 1)] = read_tensor(message(fields, 2))
    return Recorded((_signature(message(request, 1)),), tensors, [])


def _of_examples(signatures: Tuple[str, ...], given: bytes) -> Recorded:
    """What the context has is in every example, and an example's own value wins: it comes last."""
    fields = fields_of(given)
    with_context = fields_of(message(fields, 2))
    context = message(with_context, 2)
    examples = messages(fields_of(message(fields, 1)), 1) or messages(with_context, 1)
    if not examples:
        raise MessageError("it has no example")
    common = _features(context)
    features = [dict(common, **_features(example)) for example in examples]
    return Recorded(signatures, {}, features, [context + example for example in examples])


def _features(example: bytes) -> Dict[str, List[Any]]:
    features: Dict[str, List[Any]] = {}
    for entry in messages(fields_of(message(fields_of(example), 1)), 1):
        fields = fields_of(entry)
        features[text(fields, 1)] = _values(fields_of(message(fields, 2)))
    return features


def _values(feature: Dict[int, List[Value]]) -> List[Any]:
    if 1 in feature:
        return list(messages(fields_of(message(feature, 1)), 1))
    if 2 in feature:
        return list(numbers(fields_of(message(feature, 2)), 1, "f"))
    return list(integers(fields_of(message(feature, 3)), 1))
