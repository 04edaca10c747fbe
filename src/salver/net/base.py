"""The settings of the edge, and the limits it holds before any route is looked at."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class NetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens, and what it accepts there."""

    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback needs `insecure` as long as there is no TLS."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """Port of all protocols together; 0 lets the system choose, and the choice is printed."""
    grpc_port: Annotated[int, msgspec.Meta(ge=-1, le=65535)] = -1
    """Port of gRPC, for all protocols that have it; 0 lets the system choose, -1 opens none."""
    compat: tuple[Literal["tfserving", "mms", "torchserve", "openinference", "mlserver"], ...] = ()
    """Protocols that also get the ports their own clients expect: tfserving (8501; gRPC 8500), mms (8080, 8081),
    torchserve (8080, 8081, 8082; gRPC 7070, 7071), openinference (8000, 8002; gRPC 8001), mlserver (8080, 8082;
    gRPC 8081)."""
    doors: tuple[str, ...] = ()
    """Exact addresses instead of `host`, `port`, `grpc_port` and `compat`: protocols, `@` and the address, as
    `mms@127.0.0.1:8080`, `mms+mms-management@127.0.0.1:8080` or `mms@unix:/run/mms.sock`; over gRPC as
    `tfserving-grpc@127.0.0.1:8500`."""
    insecure: bool = False
    """Allow plain HTTP on an address that other machines can reach."""
    allowed_hosts: tuple[str, ...] = ()
    """Host names that requests may carry besides the listening address and localhost; `*` allows all."""
    max_body_mb: Annotated[float, msgspec.Meta(gt=0)] = 64.0
    """Largest request body, in MiB, counted while it arrives and again after decompression."""
    max_upload_mb: Annotated[float, msgspec.Meta(gt=0)] = 10_240.0
    """Largest artefact that may be published over HTTP, in MiB; it goes to a file in the data directory."""
    max_header_kb: Annotated[int, msgspec.Meta(ge=1)] = 16
    """Largest request line and headers together, in KiB."""
    max_headers: Annotated[int, msgspec.Meta(ge=1)] = 100
    """Most headers in one request."""
    header_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """Longest time from the first byte of a request to the end of its headers."""
    body_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    """Longest pause inside a body, and the time after which `min_body_rate` is demanded."""
    min_body_rate: Annotated[int, msgspec.Meta(ge=0)] = 1024
    """Slowest body accepted once `body_timeout_s` has passed, in bytes per second on average."""
    keep_alive_s: Annotated[float, msgspec.Meta(gt=0)] = 75.0
    """How long an idle connection stays open."""
    write_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """How long a client may leave an answer unread before it is cut off."""
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    """Most open connections of one front end at each port; more are closed, over HTTP with 503."""
    max_streams: Annotated[int, msgspec.Meta(ge=1)] = 1000
    """Most gRPC calls at once on one connection; a client's further ones wait."""
    message_timeout_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Longest time from the start of a gRPC call to the end of its message; streams of messages may pause."""
