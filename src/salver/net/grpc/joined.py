"""Calls that are several predictions: they run at once, and are answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from salver.errors import SalverError
from salver.net.grpc.calls import conclude, request_of
from salver.operations.base import Answer, PredictRoute
from salver.operations.methods import GrpcStatus, JoinedMethod

if TYPE_CHECKING:
    from salver.net.grpc.base import Service
    from salver.net.grpc.calls import Arrival, Calls, Context
    from salver.net.grpc.exchange import GrpcExchange


async def predict_all(calls: Calls, method: JoinedMethod, wire: Service, context: Context) -> bytes:
    arrival = calls.arrival(context)
    calls.running += 1
    begun: Sequence[GrpcExchange] = ()
    try:
        begun = await _begin(calls, method, wire, arrival)
        answers = await asyncio.gather(*(exchange.answer for exchange in begun))
        return conclude(arrival, _joined(method, answers))
    except asyncio.CancelledError:
        if not arrival.is_late:
            for exchange in begun:
                exchange.hang_up()
        raise
    finally:
        calls.running -= 1


async def _begin(calls: Calls, method: JoinedMethod, wire: Service, arrival: Arrival) -> Sequence[GrpcExchange]:
    """The predictions of a call; the one refusal of a call that cannot be read."""
    try:
        calls.predictions.check(arrival.credentials)
        message = await calls.message(arrival.context)
        routes = method.open(request_of(method.path, arrival, message))
    except SalverError as error:
        refused = calls.exchange(method.path, arrival, b"")
        calls.predictions.refuse(refused, wire.name, error, wire.error)
        return (refused,)
    exchanges = [calls.exchange(method.path, arrival, message) for _ in routes]
    for exchange, route in zip(exchanges, routes, strict=True):
        calls.predictions.start(exchange, wire.name, partial(_known, route), wire.error)
    return exchanges


def _known(route: PredictRoute) -> PredictRoute:
    return route


def _joined(method: JoinedMethod, answers: Sequence[Answer]) -> Answer:
    failed = next((answer for answer in answers if answer.status != GrpcStatus.OK), None)
    return failed or Answer(GrpcStatus.OK, method.join([answer.body for answer in answers]))
