"""Requests that were recorded for a model, run before it goes live, so that its first callers find it warm."""

from __future__ import annotations

import json
import os
from typing import Any, Callable, Iterator, Mapping, Tuple

from salver_worker.failures import LoadFailure

FILE_NAME = "warmup.jsonl"
MAX_REQUESTS = 1000
MAX_LINE_BYTES = 16 * 1024 * 1024
FIX = "Correct or remove this line of %s; each line is a JSON object with the request's inputs." % FILE_NAME


def warm_up(folder: str, run: Callable[[Mapping[str, Any]], object], rounds: int = 1) -> None:
    """Give each recorded request of `folder` to `run` as an example without an expected answer, `rounds` times.

    Raises LoadFailure that names the line when one is no request, or is refused. Does nothing where there is no file.
    """
    for number, line in _lines(os.path.join(folder, FILE_NAME)) if rounds else ():
        try:
            inputs = _inputs(line)
            for _ in range(rounds):
                run({"inputs": inputs})
        except LoadFailure as failure:
            message = failure.message
            for said in ("the example", "its own example", "its example"):
                message = message.replace(said, "the request")
            raise _refused(number, message) from failure


def _lines(path: str) -> Iterator[Tuple[int, bytes]]:
    """The lines that are not empty, with their numbers."""
    if not os.path.isfile(path):
        return
    count = 0
    with open(path, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES + 1), b""), 1):
            if len(line) > MAX_LINE_BYTES:
                raise _refused(number, "it is longer than %d bytes" % MAX_LINE_BYTES)
            if not line.strip():
                continue
            count += 1
            if count > MAX_REQUESTS:
                raise _refused(number, "there are more than %d requests" % MAX_REQUESTS)
            yield number, line


def _inputs(line: bytes) -> Mapping[str, Any]:
    try:
        inputs = json.loads(line)
    except ValueError as error:
        raise LoadFailure("it is no JSON: %s" % error) from error
    if not isinstance(inputs, dict):
        raise LoadFailure("it is no JSON object with the request's inputs")
    return inputs


def _refused(number: int, message: str) -> LoadFailure:
    return LoadFailure("%s, line %d: %s" % (FILE_NAME, number, message), fix=FIX)
