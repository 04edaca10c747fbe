"""One request answered by a workflow: its nodes are predictions of their own, asked as the graph says.

The caller is asked once what he may, for the workflow; its nodes are asked in his name. Like every prediction this has
no task: an answer of one node starts those that waited for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from salver.access.permit import Principal
from salver.errors import Code, RequestError, SalverError
from salver.models.workflows.base import Node, Workflow
from salver.models.workflows.walk import Walk
from salver.operations.base import Answer, AnsweredCall, Call, Exchange, PredictRoute
from salver.operations.burst import BurstExchange
from salver.operations.gate import Gate
from salver.operations.workflows import PREDICT
from salver.serving.batching.ticket import Ticket
from salver.serving.payload import as_bytes
from salver.types import InferRequest, InferResponse, SlabSlice, VersionInfo

log = logging.getLogger("salver.inference")
FINAL = frozenset({Code.MODEL_NOT_FOUND, Code.CANCELLED, Code.SHUTTING_DOWN})
"""What asking again cannot mend."""


class FlowRoute(PredictRoute, Protocol):
    """The route of a wire's address for workflows; its `model` is the workflow. It decodes nothing itself."""

    def node_route(self, model: str, given: Mapping[str, Answer]) -> PredictRoute:
        """How one node is asked: the first one with the caller's own request, the others with what those before them
        answered, by their names."""

    def answer(self, results: Mapping[str, Answer], call: AnsweredCall) -> Answer:
        """The workflow's answer, of what its last nodes answered. Raises RequestError(OUTPUT_INVALID)."""


AskAs = Callable[[BurstExchange, PredictRoute, Principal], None]


class Flows:
    """Starts workflows for whoever may. Owned by one loop."""

    def __init__(self, gate: Gate, ask: AskAs) -> None:
        """`ask` makes a prediction for somebody who is known."""
        self.gate = gate
        self.ask = ask
        self.known: Mapping[str, Workflow] = {}

    def start(self, exchange: BurstExchange, route: FlowRoute) -> None:
        """Answer the exchange, now or later; never raises."""
        body = exchange.body
        try:
            gate = self.gate
            principal = gate.admit(PREDICT, exchange, route.model, route.wire, exchange.started_at)
            workflow = self.known.get(route.model)
            if workflow is None:
                raise RequestError(Code.MODEL_NOT_FOUND, f"Workflow not found: {route.model}")
            if exchange.deadline_s < 0.0:
                raise RequestError(Code.INVALID_INPUT, "What the caller is willing to wait is no time.")
            exchange.request_id = exchange.request_id or gate.new_request_id()
            peer = exchange.credentials.peer
            call = Call(PREDICT, principal, exchange.request_id, peer, route.model, route.wire, exchange.started_at)
            flow = Flow(self, exchange, route, workflow, call, as_bytes(body))
            exchange.prediction = flow
            flow.go_on()
        except SalverError as error:
            refused = self.gate.refused(PREDICT, exchange, route.model, route.wire)
            exchange.respond(route.error(error, refused))
            self.gate.finish(refused, error)
        finally:
            if type(body) is SlabSlice:
                body.release()


class Flow(Ticket):
    """One use of a workflow, from its arrival to its answer."""

    def __init__(
        self,
        owner: Flows,
        exchange: BurstExchange,
        route: FlowRoute,
        workflow: Workflow,
        call: Call,
        body: bytes,
    ) -> None:
        self.owner = owner
        self.exchange = exchange
        self.route = route
        self.workflow = workflow
        self.call = call
        self.body = body
        self.request_id = call.request_id
        self.deadline = exchange.started_at + exchange.deadline_s if exchange.deadline_s else 0.0
        self.walk: Walk[Answer] = Walk(workflow)
        self.asked: dict[str, NodeExchange] = {}
        """What is under way, by the node."""

    def go_on(self) -> None:
        """Ask all nodes that can be asked now."""
        for node in self.walk.ready():
            self.try_node(node, 0)

    def try_node(self, node: Node, attempt: int) -> None:
        if self.is_done:
            return
        left_s = node.words.timeout_ms / 1000
        if self.deadline:
            left_s = min(left_s, self.deadline - self.owner.gate.clock())
        if left_s <= 0.0:
            self._fail(node, RequestError(Code.DEADLINE_EXCEEDED, "The time that the caller gave is over."))
            return
        inner = self.route.node_route(self.workflow.model(node), self.walk.inputs(node))
        exchange = self.asked[node.name] = NodeExchange(self, node, attempt, left_s)
        exchange.started_at = self.owner.gate.clock()
        self.owner.ask(exchange, NodeRoute(inner, exchange), self.call.principal)

    def answered(self, exchange: NodeExchange, answer: Answer) -> None:
        """One node has answered, or has failed for good or to be asked again."""
        node = exchange.node
        if self.is_done or self.asked.pop(node.name, None) is None:
            return
        error = exchange.error
        if error is None:
            self.walk.answers[node.name] = answer
            if self.walk.is_over:
                self._finish()
            else:
                self.go_on()
        elif exchange.attempt < node.words.retry_attempts and error.code not in FINAL:
            self.try_node(node, exchange.attempt + 1)
        else:
            self._fail(node, error)

    def cancel(self) -> None:
        """The client is gone."""
        if not self.is_done:
            self.is_done = True
            self._give_up()
            self.owner.gate.finish(self.call, RequestError(Code.CANCELLED, "The caller hung up."))

    def _finish(self) -> None:
        try:
            answer = self.route.answer(self.walk.results, self.call)
        except SalverError as error:
            self._end(self.route.error(error, self.call), error)
        except Exception as error:
            log.exception("encode_failed")
            failure = RequestError(Code.INTERNAL, "The answer cannot be rendered.", log_detail=repr(error))
            self._end(self.route.error(failure, self.call), failure)
        else:
            self._end(answer, None)

    def _fail(self, node: Node, error: SalverError) -> None:
        """One node is all it takes; those that are under way are given up."""
        detail = f"{self.workflow.model(node)}: {error.message}"
        told = RequestError(error.code, f"Error executing {node.name}", fix="", status=500, log_detail=detail)
        log.warning(
            "workflow_failed",
            extra={"workflow": self.workflow.name, "node": node.name, "request_id": self.request_id, "detail": detail},
        )
        self._end(self.route.error(told, self.call), told)

    def _end(self, answer: Answer, error: SalverError | None) -> None:
        self.is_done = True
        self._give_up()
        self.exchange.prediction = None
        self.exchange.respond(answer)
        self.owner.gate.finish(self.call, error)

    def _give_up(self) -> None:
        asked, self.asked = self.asked, {}
        for exchange in asked.values():
            exchange.hang_up()


class NodeExchange(BurstExchange):
    """One attempt at one node: its door is the workflow."""

    error: SalverError | None = None
    """Why it failed, when it did."""

    def __init__(self, flow: Flow, node: Node, attempt: int, deadline_s: float) -> None:
        outer = flow.exchange
        self.flow = flow
        self.node = node
        self.attempt = attempt
        self.method = outer.method
        self.target = outer.target
        self.headers = outer.headers
        self.memory = None
        self.body = flow.body
        self.credentials = outer.credentials
        self.request_id = flow.request_id
        self.deadline_s = deadline_s

    def respond(self, answer: Answer) -> None:
        if not self.is_answered:
            self.is_answered = True
            self.flow.answered(self, answer)

    def hang_up(self) -> None:
        self.disconnected = True
        self.is_answered = True
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()


class NodeRoute:
    """A wire's route for one node, which also tells the workflow what went wrong."""

    def __init__(self, inner: PredictRoute, exchange: NodeExchange) -> None:
        self.inner = inner
        self.exchange = exchange
        self.wire = inner.wire
        self.operation = inner.operation
        self.model = inner.model
        self.version = inner.version
        self.label = inner.label

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        return self.inner.decode(exchange, version)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        return self.inner.encode(response, request, call)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        self.exchange.error = error
        return Answer(500, b"")

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each node is asked by itself."""
