"""What a model's own code says of itself: TorchServe's handlers are asked by a request with the header `describe`."""

from __future__ import annotations

import asyncio

import orjson

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall, Call, Credentials, Exchange
from salver.operations.burst import BurstExchange
from salver.operations.flows import AskAs
from salver.operations.inference import PREDICT
from salver.types import (
    DEFAULT_SIGNATURE,
    Body,
    InferRequest,
    InferResponse,
    ModelVersion,
    Part,
    PayloadKind,
    VersionInfo,
)

HEADER = "describe"
TIMEOUT_S = 10.0
NOTHING = b"{}"


class Describing:
    """Asks one version what it says of itself. Owned by one loop."""

    def __init__(self, ask: AskAs, loop: asyncio.AbstractEventLoop) -> None:
        self._ask = ask
        self._loop = loop

    async def ask(self, id: ModelVersion, call: Call) -> bytes:
        """A JSON object; an empty one where the model says none, or does not answer."""
        exchange = DescribeExchange(call, self._loop)
        self._ask(exchange, DescribeRoute(id, call.wire), call.principal)
        try:
            answer = await exchange.answer
        except asyncio.CancelledError:
            exchange.hang_up()
            raise
        return answer.body


class DescribeExchange(BurstExchange):
    """The question, and its answer."""

    def __init__(self, call: Call, loop: asyncio.AbstractEventLoop) -> None:
        self.method = b"GET"
        self.target = b"/"
        self.headers = []
        self.memory = None
        self.credentials = Credentials(None, call.peer, is_loopback=False)
        self.request_id = call.request_id
        self.deadline_s = TIMEOUT_S
        self.started_at = call.started_at
        self.answer: asyncio.Future[Answer] = loop.create_future()

    def respond(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def hang_up(self) -> None:
        self.disconnected = True
        prediction, self.prediction = self.prediction, None
        if prediction is not None:
            prediction.cancel()


class DescribeRoute:
    """One version, asked to describe itself."""

    operation = PREDICT.name
    version: int | None
    label: str | None = None

    def __init__(self, id: ModelVersion, wire: str) -> None:
        self.wire = wire
        self.model = id.model
        self.version = id.version

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        if version.payload is not PayloadKind.BODY:
            raise RequestError(Code.INVALID_INPUT, "Only the code of a handler can describe itself.")
        body = Body((Part("body", "", b""),), {HEADER: str(True)})
        return InferRequest(version, DEFAULT_SIGNATURE, None, body, 1, (HEADER,))

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        data = NOTHING if response.body is None else response.body.data
        return Answer(200, data if _is_object(data) else NOTHING)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return Answer(500, NOTHING)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """It is asked by itself."""


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False
