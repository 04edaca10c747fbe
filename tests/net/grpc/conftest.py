"""A front end with a port of gRPC, and a protocol of our own on it: `model|value value ...` in, the numbers out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import numpy as np
import pytest

from salver.errors import Code, RequestError, SalverError
from salver.operations import models
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.methods import (
    GrpcStatus,
    JoinedMethod,
    OrdinaryMethod,
    PredictMethod,
    StreamMethod,
    status_answer,
)
from salver.serving.payload import batch_group
from salver.types import InferRequest, InferResponse, ModelStatus, Tensor, VersionInfo

WAIT_S = 30.0


class ToyRoute:
    wire = "toy"
    operation = "models.predict"
    version = None
    label = None

    def __init__(self, message: str) -> None:
        self.model, bar, self._numbers = message.partition("|")
        if not bar:
            raise RequestError(Code.INVALID_INPUT, "There is no bar.", fix="Send model|numbers.")

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        values = [float(word) for word in self._numbers.split()]
        inputs = {"x": Tensor("FP32", (1, len(values)), [values])}
        return InferRequest(version, "", inputs, None, 1, batch_group("", inputs))

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        assert response.outputs is not None
        return Answer(GrpcStatus.OK, numbers(response.outputs["y"]), None, (("Model", self.model),))

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return status_answer(error)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None: ...


class ToyStreamRoute(ToyRoute):
    """What is wrong with a prediction is told in a message; only a model that nobody knows ends the stream."""

    def decode(self, exchange: Any, version: VersionInfo) -> InferRequest:
        if self._numbers.startswith("many "):
            exchange.part(Answer(GrpcStatus.OK, b"first"))
            exchange.part(Answer(GrpcStatus.OK, b"second"))
            self._numbers = self._numbers.removeprefix("many ")
        return super().decode(exchange, version)

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        return self.encode(response, request, call)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return self.error(error, call)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        if error.code is Code.MODEL_NOT_FOUND:
            return status_answer(error)
        return Answer(GrpcStatus.OK, f"error {error.code.value}".encode())


class ToyWire:
    name = "toy"
    methods = (
        PredictMethod(path="/toy.Toy/Sum", open=lambda request: ToyRoute(request.body.decode())),
        StreamMethod(path="/toy.Toy/Sums", open=lambda request: ToyStreamRoute(request.body.decode())),
        StreamMethod(
            path="/toy.Toy/Parts", open=lambda request: ToyStreamRoute(request.body.decode()), takes_many=False
        ),
        JoinedMethod(
            path="/toy.Toy/SumAll",
            open=lambda request: [ToyRoute(each) for each in request.body.decode().split(";")],
            join=lambda answers: b";".join(answers),
        ),
        OrdinaryMethod(
            path="/toy.Toy/Describe",
            operation=models.GET.name,
            open=lambda request: request.body.decode(),
            read=lambda model: models.GetModel(model, None, None),
            write=lambda status, model: _described(status, model),
            model=lambda model: model,
        ),
    )

    def error(self, error: SalverError) -> Answer:
        return status_answer(error)


def _described(status: ModelStatus, model: str) -> bytes:
    if model == "wide":
        raise ValueError("a secret of the wire")
    return f"{model} {status.default_version}".encode()


def numbers(array: Any) -> bytes:
    return " ".join(f"{value:g}" for value in np.asarray(array).ravel()).encode()


MakeToy = Callable[..., Any]


@pytest.fixture
def make_toy(make_server) -> MakeToy:
    def make(**settings: Any) -> Any:
        return make_server(grpc_wires={"toy": ToyWire()}, **settings)

    return make


@pytest.fixture
def toy(make_toy: MakeToy) -> Any:
    return make_toy()


@pytest.fixture
def channel_to() -> Iterator[Callable[..., grpc.Channel]]:
    """Channels to a server, closed at the end; each has a connection of its own."""
    channels: list[grpc.Channel] = []

    def open_channel(server: Any, **options: Any) -> grpc.Channel:
        given = [("grpc.use_local_subchannel_pool", 1), *((f"grpc.{name}", value) for name, value in options.items())]
        channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options=given)
        channels.append(channel)
        return channel

    yield open_channel
    for channel in channels:
        channel.close()
