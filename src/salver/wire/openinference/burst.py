"""Many predictions in JSON at once: each is read as by itself, all are one request, and each answer has its own rows.

A request that wants anything besides its outputs in JSON is given up, and the others with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from salver.operations.base import Answer
from salver.types import InferRequest, InferResponse, Tensor, VersionInfo
from salver.wire.jsonrows import parts
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.compression import compressed
from salver.wire.openinference.outputs import encode
from salver.wire.openinference.request import V2Request
from salver.wire.openinference.values import RAW_ONLY

NOT_PLAIN = RAW_ONLY | {"BYTES"}
"""Datatypes whose values may turn out not to be writable as JSON: that is told to whom it happens to."""


class V2Requests(V2Request, gc=False):
    """The rows of several requests."""

    members: tuple[V2Request, ...] = ()


class V2Burst:
    """Bodies of JSON without raw tensors, for one version, whose answers may be compressed with `encoding`."""

    names_requests = False

    def __init__(self, plan: Plan, encoding: str) -> None:
        self._plan = plan
        self._encoding = encoding

    def decode(self, bodies: Sequence[Any]) -> tuple[V2Request, list[int]] | None:
        members = tuple(self._plan.decode(body, None) for body in bodies)
        first = members[0]
        if not all(map(is_usual, members)) or any(member.group != first.group for member in members):
            return None
        rows = [member.rows for member in members]
        inputs = joined([member.inputs or {} for member in members])
        request = V2Requests(first.version, first.signature_name, inputs, None, sum(rows), first.group, members=members)
        return request, rows

    def encode(self, response: InferResponse, request: InferRequest, rows: list[int]) -> tuple[Answer, list[bytes]]:
        """Raises RequestError(OUTPUT_INVALID)."""
        assert isinstance(request, V2Requests)
        assert response.outputs is not None
        plain = [
            encode(response, member, outputs)
            for member, outputs in zip(request.members, parts(response.outputs, rows), strict=True)
        ]
        packed = [compressed(answer, self._encoding) for answer in plain]
        is_alike = all(answer.headers == packed[0].headers for answer in packed)  # one head for all of them
        answers = packed if is_alike else plain
        return replace(answers[0], body=b""), [answer.body for answer in answers]


def has_bursts(version: VersionInfo) -> bool:
    """Whether rows can be put together and told apart, and whatever comes out can be written."""
    signature = version.signature()
    if signature is None or not signature.outputs or not version.has_batch_dimension:
        return False
    has_rows = all(spec.shape[:1] == (-1,) for spec in signature.inputs)
    return has_rows and not any(spec.datatype in NOT_PLAIN for spec in signature.outputs)


def is_usual(request: V2Request) -> bool:
    """Whether it asks for outputs as JSON, and for nothing else."""
    says_more = request.parameters or request.sequence is not None or request.allowed_s or request.is_binary
    return not says_more and not any(wish.is_binary or wish.classes for wish in request.wishes or ())


def joined(inputs: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The rows of all, in order; shapes but for the first dimension are alike."""
    return {name: _joined([each[name] for each in inputs]) for name in inputs[0]}


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    first = tensors[0]
    shape = (sum(tensor.shape[0] for tensor in tensors), *first.shape[1:])
    if first.datatype == "BYTES":
        return Tensor(first.datatype, shape, [element for tensor in tensors for element in _elements(tensor)])
    return Tensor(first.datatype, shape, np.concatenate([tensor.data for tensor in tensors]))


def _elements(tensor: Tensor) -> Iterable[bytes]:
    elements: Iterable[bytes] = tensor.data
    return elements
