"""Predictions by a workflow: how its nodes are asked, and what becomes of their answers. Pure.

From TorchServe's ``DagExecutor`` and ``WorkflowManager``: the first node gets the request; a node behind one other gets
its answer as ``body``, one behind several gets theirs by the nodes' names. One last node's answer is the answer;
several make an object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations import workflows
from salver.operations.base import Answer, AnsweredCall, Exchange, PredictRoute
from salver.operations.inference import PREDICT
from salver.serving.payload import batch_group, body_to_inputs
from salver.types import DEFAULT_SIGNATURE, Body, InferRequest, InferResponse, Part, VersionInfo
from salver.wire.headers import for_model
from salver.wire.torchserve.answers import pretty, usual_headers
from salver.wire.torchserve.decoding import BODY_GROUP, decode, plan_for
from salver.wire.torchserve.dialect import Dialect
from salver.wire.torchserve.encoding import encode
from salver.wire.torchserve.errors import Subject, error_answer

NOT_FOUND = "WorkflowNotFoundException"
JSON = "application/json"


class WorkflowRoute:
    """`/wfpredict/{workflow}`."""

    operation = workflows.PREDICT.name
    version: int | None = None
    label: str | None = None

    def __init__(self, workflow: str, wire: str, dialect: Dialect) -> None:
        self.model = workflow
        self.wire = wire
        self._dialect = dialect

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        raise AssertionError("the nodes of a workflow decode")

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        raise AssertionError("a workflow answers by what its nodes answered")

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def node_route(self, model: str, given: Mapping[str, Answer]) -> PredictRoute:
        return NodeRoute(model, self.wire, given)

    def answer(self, results: Mapping[str, Answer], call: AnsweredCall) -> Answer:
        headers = usual_headers(call.request_id)
        if len(results) == 1:
            return Answer(200, next(iter(results.values())).body, JSON, headers)
        return Answer(200, pretty({name: _value(answer.body) for name, answer in results.items()}), JSON, headers)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return workflow_error(error, self.model, call.request_id if call else "", self._dialect)


class NodeRoute:
    """One node. `given` is what those before it answered; the first node, which has none, gets the request."""

    operation = PREDICT.name
    version: int | None = None
    label: str | None = None

    def __init__(self, model: str, wire: str, given: Mapping[str, Answer]) -> None:
        self.model = model
        self.wire = wire
        self._given = given

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        plan = plan_for(version)
        if not self._given:
            return decode(exchange, plan, b"")
        is_alone = len(self._given) == 1
        named = {("body" if is_alone else name): answer for name, answer in self._given.items()}
        if plan.signature is None:
            parts = tuple(Part(name, "", answer.body) for name, answer in named.items())
            return InferRequest(
                version, DEFAULT_SIGNATURE, None, Body(parts, dict(for_model(exchange.headers))), 1, BODY_GROUP
            )
        typed = tuple(Part(name, answer.content_type or JSON, answer.body) for name, answer in named.items())
        inputs, rows = body_to_inputs(typed, plan.signature)
        return InferRequest(version, DEFAULT_SIGNATURE, inputs, None, rows, batch_group(DEFAULT_SIGNATURE, inputs))

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        return encode(response, request, call.request_id)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        raise AssertionError("the workflow says what goes wrong")

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each node is asked by itself."""


def workflow_error(error: SalverError, workflow: str, request_id: str, dialect: Dialect) -> Answer:
    """Errors in TorchServe's words, where they are not those of a model."""
    if error.code is not Code.MODEL_NOT_FOUND or getattr(error, "status", None) is not None:
        return error_answer(error, Subject(workflow), request_id, dialect)
    document = {"code": 404, "type": NOT_FOUND, "message": f"Workflow not found: {workflow}"}
    return Answer(404, pretty(document), headers=usual_headers(request_id), close=True)


def _value(body: bytes) -> Any:
    """What a node answered as a value of JSON; the text of it where it is none."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            return body.decode()
        except UnicodeDecodeError as error:
            raise RequestError(
                Code.OUTPUT_INVALID,
                "One of the workflow's last nodes answered with bytes that are no text.",
                fix="Let the workflow end in one node, whose answer may be anything.",
            ) from error
