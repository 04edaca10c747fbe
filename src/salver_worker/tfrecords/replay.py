"""Replays the requests that lie beside a model in TensorFlow Serving's warm-up file."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable, Dict, List, Mapping

from salver_worker.failures import LoadFailure
from salver_worker.tfrecords.fields import MessageError
from salver_worker.tfrecords.framing import RecordError, read_records
from salver_worker.tfrecords.predictionlog import DEFAULT_SIGNATURE, NotReplayed, Recorded, read_log

FILE_NAME = os.path.join("assets.extra", "tf_serving_warmup_requests")
MAX_RECORDS = 1000
FIX = "Correct or remove %s beside the model, or switch warm-up off." % FILE_NAME

SERIALIZED = "inputs"
Run = Callable[[Mapping[str, Any]], object]


def replay(path: str, signatures: Mapping[str, Mapping[str, Any]], run: Run, rounds: int) -> None:
    """Give each recorded request to `run`, as an example without an expected answer, `rounds` times.

    It has the key `signature` where it is for another one than the default.
    `path` is the model's file or folder. Raises LoadFailure that says which record is at fault. Does nothing where
    there is no such file.
    """
    place = os.path.join(path if os.path.isdir(path) else os.path.dirname(path), FILE_NAME)
    if not rounds or not os.path.isfile(place):
        return
    number = 0
    try:
        with open(place, "rb") as file:
            for number, record in enumerate(read_records(file), 1):
                if number > MAX_RECORDS:
                    raise _refused(number, "Number of warmup records exceeded the maximum (%d)" % MAX_RECORDS)
                _replay_one(number, record, signatures, run, rounds)
    except RecordError as error:
        raise _refused(number + 1, str(error)) from error
    except OSError as error:
        raise LoadFailure("%s cannot be read: %s" % (FILE_NAME, error.strerror), fix=FIX) from error


def _replay_one(number: int, record: bytes, signatures: Mapping[str, Mapping[str, Any]], run: Run, rounds: int) -> None:
    try:
        recorded = read_log(record)
        for name in recorded.signatures:
            signature = signatures.get(name)
            if signature is None:
                raise MessageError("the model has no signature %s; it has: %s" % (name, ", ".join(signatures)))
            inputs = _inputs(recorded, signature)
            request = {"inputs": inputs} if name == DEFAULT_SIGNATURE else {"inputs": inputs, "signature": name}
            for _ in range(rounds):
                run(request)
    except NotReplayed as reason:
        print("salver_worker: record %d of %s is left out: %s" % (number, FILE_NAME, reason), file=sys.stderr)
    except MessageError as error:
        raise _refused(number, str(error)) from error
    except LoadFailure as failure:
        said = failure.message
        for words in ("the example", "its own example", "its example"):
            said = said.replace(words, "the request")
        raise _refused(number, said) from failure


def _inputs(recorded: Recorded, signature: Mapping[str, Any]) -> Dict[str, Any]:
    """The model's inputs: the tensors, the examples as they are, or the features of that name of all examples."""
    if recorded.examples and takes_examples(signature):
        return {SERIALIZED: recorded.serialized}
    if not recorded.examples:
        return {
            name: tensor.tolist() if tensor.dtype.kind == "O" else tensor for name, tensor in recorded.tensors.items()
        }
    return {spec["name"]: _column(spec, recorded.examples) for spec in signature["inputs"]}


def takes_examples(signature: Mapping[str, Any]) -> bool:
    """Whether its only input is text that is called `inputs`: TensorFlow's own form of classify and regress."""
    specs = signature["inputs"]
    return len(specs) == 1 and specs[0]["name"] == SERIALIZED and specs[0]["datatype"] == "BYTES"


def _column(spec: Mapping[str, Any], examples: List[Dict[str, List[Any]]]) -> List[Any]:
    """One value for each example where the input has one per row, else a list for each."""
    name = spec["name"]
    for example in examples:
        if name not in example:
            raise MessageError(
                "Feature: %s (data type: %s) is required but could not be found." % (name, spec["datatype"])
            )
    rows = [example[name] for example in examples]
    if len(spec["shape"]) == 1 and all(len(row) == 1 for row in rows):
        return [row[0] for row in rows]
    return rows


def _refused(number: int, message: str) -> LoadFailure:
    return LoadFailure("%s, record %d: %s" % (FILE_NAME, number, message), fix=FIX)
