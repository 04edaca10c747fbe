"""The gRPC edge: one listener of grpcio's asyncio server, its limits, and the table of methods that it answers.

It takes bytes and gives bytes: what they mean is the wires' affair. Every method is one that streams to the library, so
that the edge itself reads messages; for the client it makes no difference.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

import grpc
import grpc.aio

from salver.errors import Code, RequestError, StartupError
from salver.net.base import NetSettings
from salver.net.grpc import health
from salver.net.grpc.base import Service
from salver.net.grpc.calls import Calls, Context, conclude
from salver.net.grpc.health import Health
from salver.net.grpc.joined import predict_all
from salver.net.grpc.streams import Streams
from salver.operations.gate import Gate
from salver.operations.methods import JoinedMethod, Method, OrdinaryMethod, PredictMethod, StreamMethod, status_answer
from salver.operations.unread import UnreadPredictions

log = logging.getLogger("salver.net")
Handler: TypeAlias = Any
"""grpc.RpcMethodHandler of bytes."""
HANDSHAKE = "grpc.server_handshake_timeout_ms"
PING_MS = 30_000
"""How often a silent connection is asked whether it is still there, and how long it may take to say so."""
LEAST_PING_MS = 10_000
"""How often a client may ask that."""


class GrpcEdge:
    """One port. `listen`, then perhaps `drain`, then `finish`."""

    def __init__(
        self,
        settings: NetSettings,
        gate: Gate,
        predictions: UnreadPredictions,
        wires: Sequence[Service],
        is_ready: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._settings = settings
        self._calls = Calls(settings, gate, predictions, gate.new_request_id, loop)
        self._streams = Streams(self._calls)
        services = dict.fromkeys(service_of(method) for wire in wires for method in wire.methods)
        self._health = Health(self._calls, services, is_ready)
        table = self._table((*wires, self._health))
        table[health.WATCH] = grpc.stream_stream_rpc_method_handler(_streaming(self._health.watch))
        for wire in wires:
            check_methods(gate, wire)
        self._server = grpc.aio.server(
            handlers=[Table(table, self._calls, (*services, "grpc.health.v1.Health"))],
            options=list(options_of(settings).items()),
        )

    def _table(self, wires: Sequence[Service]) -> dict[str, Handler]:
        """The handler of each path; of two wires with one path the first wins."""
        table: dict[str, Handler] = {}
        for wire in wires:
            for method in wire.methods:
                table.setdefault(method.path, self._handler(method, wire))
        return table

    def _handler(self, method: Method, wire: Service) -> Handler:
        match method:
            case PredictMethod():
                return grpc.stream_unary_rpc_method_handler(
                    _answering(lambda context: self._calls.predict(method, wire, context))
                )
            case JoinedMethod():
                return grpc.stream_unary_rpc_method_handler(
                    _answering(lambda context: predict_all(self._calls, method, wire, context))
                )
            case OrdinaryMethod():
                return grpc.stream_unary_rpc_method_handler(
                    _answering(lambda context: self._calls.operate(method, wire, context))
                )
            case StreamMethod():
                return grpc.stream_stream_rpc_method_handler(
                    _streaming(lambda context: self._streams.converse(method, wire, context))
                )

    async def listen(self, host: str, port: int) -> None:
        """Answer at a port that this server has reserved. Raises StartupError(PORT_TAKEN)."""
        try:
            self._server.add_insecure_port(target_of(host, port))
        except RuntimeError as error:
            raise StartupError(
                Code.PORT_TAKEN,
                f"Port {port} on {host} cannot be opened for gRPC.",
                fix="Stop the program that has it, or choose another port with --grpc-port.",
                log_detail=str(error),
            ) from error
        await self._server.start()

    @property
    def is_busy(self) -> bool:
        """Whether any call is to be answered."""
        return self._calls.running > 0

    async def finish(self, timeout_s: float) -> None:
        """Take no new calls; those in flight may take that long, then they are given up."""
        self._health.end()
        self._streams.end()
        await self._server.stop(timeout_s)
        await self._calls.finish()


class Table(grpc.GenericRpcHandler):
    """Finds the handler of a call's path."""

    def __init__(self, table: Mapping[str, Handler], calls: Calls, services: Sequence[str]) -> None:
        self._table = table
        self._calls = calls
        self._services = services

    def service(self, details: grpc.HandlerCallDetails) -> Handler:
        return self._table.get(details.method) or self._unknown(details.method)

    def _unknown(self, path: str) -> Handler:
        async def refuse(context: Context) -> bytes:
            error = RequestError(
                Code.ROUTE_NOT_FOUND,
                f"This port has no method {path[:200]}.",
                fix=f"It has the services {', '.join(self._services)}.",
            )
            return conclude(self._calls.arrival(context), status_answer(error))

        return grpc.stream_unary_rpc_method_handler(_answering(refuse))


def _answering(answer: Callable[[Context], Awaitable[bytes]]) -> Callable[[Any, Context], Awaitable[bytes]]:
    async def handle(_: Any, context: Context) -> bytes:
        try:
            return await answer(context)
        except Exception:  # the boundary: the library would tell the client its text
            log.exception("call_failed")
            _fail(context)
            return b""

    return handle


def _streaming(converse: Callable[[Context], Awaitable[None]]) -> Callable[[Any, Context], Awaitable[None]]:
    async def handle(_: Any, context: Context) -> None:
        try:
            await converse(context)
        except grpc.aio.BaseError:  # nothing can be written any more: the client is gone
            return
        except Exception:
            log.exception("call_failed")
            _fail(context)

    return handle


def _fail(context: Context) -> None:
    context.set_code(grpc.StatusCode.INTERNAL)
    context.set_details("The server failed on this call.")


def check_methods(gate: Gate, wire: Service) -> None:
    """Raises StartupError when a method names no operation of the catalogue, so that none is unguarded."""
    for method in wire.methods:
        if isinstance(method, OrdinaryMethod):
            gate.check_operation(method.operation, method.path, wire.name)


def service_of(method: Method) -> str:
    return method.path.split("/")[1]


def options_of(settings: NetSettings) -> dict[str, int]:
    """The library's own limits. The message's holds for what is left after decompression too."""
    header_bytes = settings.max_header_kb * 1024
    return {
        "grpc.so_reuseport": 1,  # the port is reserved, and perhaps shared with other front ends
        "grpc.max_receive_message_length": int(settings.max_body_mb * 1024 * 1024),
        "grpc.max_send_message_length": -1,
        "grpc.max_metadata_size": header_bytes,
        "grpc.absolute_max_metadata_size": header_bytes,
        "grpc.max_concurrent_streams": settings.max_streams,
        "grpc.max_allowed_incoming_connections": settings.max_connections,
        "grpc.max_connection_idle_ms": int(settings.keep_alive_s * 1000),
        HANDSHAKE: int(settings.header_timeout_s * 1000),
        "grpc.keepalive_time_ms": PING_MS,
        "grpc.keepalive_timeout_ms": PING_MS,
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.max_pings_without_data": 0,
        "grpc.http2.min_recv_ping_interval_without_data_ms": LEAST_PING_MS,
        "grpc.http2.max_ping_strikes": 2,
    }


def target_of(host: str, port: int) -> str:
    """The address as the library wants it; a name is looked up first, so that it means what it means for HTTP."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        host = socket.gethostbyname(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
