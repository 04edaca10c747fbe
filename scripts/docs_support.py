#!/usr/bin/env python3
"""Writes docs/wires/support.md: what each wire offers, and of every call of the originals whether it is answered.

Nothing here says that a call works: each is put to the real wires, and what they say is written down.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from starlette.routing import compile_path

sys.path.append(str(Path(__file__).parent))

from support_wires import HEALTH, INFERENCE, grpc_methods, http_wires, operation_of

from salver.errors import Code, SalverError
from salver.operations.base import Answer, Request, Route
from salver.operations.catalogue import OPERATIONS
from salver.operations.methods import GrpcStatus, OrdinaryMethod
from salver.wire.base import Wire

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "wires" / "support.md"
CALLS = ROOT / "docs" / "wires" / "calls"
REFUSED = (404, 405, 501)
NATIVE_PREDICTION = "/api/v1/models/m/predict"
VALUES = {"version": "1"}
"""What stands for a part of an address; anything else is `m`."""

HEAD = """# What each wire supports

<!-- Made by scripts/docs from the wires' own routes; a test compares the two. -->

## Operations

Which operations can be reached over which wire. `native` is [Salver's own](native.md).
"""
EXPLAINED = """
## The originals' calls

Every call of the servers whose protocols are spoken here, put to the wires. `not supported` is followed by what the
wire answers. The pages of the wires say what is different where a call is supported.
"""


Headers: TypeAlias = tuple[tuple[str, str], ...]


class Found(NamedTuple):
    """What became of one call: the operation that it is, or what is answered instead."""

    operation: str | None
    told: str = ""
    is_alike: bool = False
    """Whether the wire answers it without an operation, or refuses it as the original does."""

    @property
    def is_answered(self) -> bool:
        return self.operation is not None or self.is_alike

    @property
    def text(self) -> str:
        if self.operation is not None:
            return f"`{self.operation}`"
        return self.told if self.is_alike else f"**not supported**{self.told and ': '}{self.told}"


def page() -> str:
    return "\n".join([HEAD, *_operations(), EXPLAINED, *_calls()]) + "\n"


# Operations


def _operations() -> Iterator[str]:
    wires = http_wires()
    columns = {protocol: _reached(list(ports.values()), protocol) for protocol, ports in wires.items()}
    columns["native"].add(asked(wires["native"][INFERENCE], "POST", NATIVE_PREDICTION).operation or "")
    yield "| operation | " + " | ".join(columns) + " | what it does |"
    yield "|---|" + "---|" * len(columns) + "---|"
    for operation in sorted(OPERATIONS, key=lambda row: row.name):
        cells = ["yes" if operation.name in reached else "" for reached in columns.values()]
        yield f"| `{operation.name}` | " + " | ".join(cells) + f" | {operation.summary} |"


def _reached(wires: list[Wire], protocol: str) -> set[str]:
    """The operations that some address of the wires names: its routes, its prediction calls, its calls over gRPC."""
    reached = {route.operation for wire in wires for route in wire.routes}
    path = CALLS / f"{protocol}.toml"
    if path.is_file():
        reached |= {found.operation for _, _, found in calls(protocol) if found.operation}
    return reached


# Calls


def _calls() -> Iterator[str]:
    for path in sorted(CALLS.glob("*.toml")):
        rows = list(calls(path.stem))
        supported = sum(found.is_answered for _, _, found in rows)
        yield f"### {tomllib.loads(path.read_text())['title']}\n"
        yield f"{supported} of {len(rows)} calls are answered.\n"
        yield "| call | what it is | here |"
        yield "|---|---|---|"
        for call, meaning, found in rows:
            yield f"| `{call}` | {meaning} | {found.text} |"
        yield ""


def calls(protocol: str) -> Iterator[tuple[str, str, Found]]:
    """Each call of the protocol's original, what it is, and what became of it."""
    document = tomllib.loads((CALLS / f"{protocol}.toml").read_text())
    wires = http_wires()[protocol]
    for row in document["calls"]:
        found = _found(protocol, row["call"], wires, tuple(row.get("headers", {}).items()))
        if row.get("refused") and not found.is_answered:
            found = Found(None, f"refused, as the original does: {found.told}", is_alike=True)
        yield row["call"], row["is"], found


def _found(protocol: str, call: str, wires: dict[str, Wire], headers: Headers) -> Found:
    method, _, rest = call.partition(" ")
    address, _, port = rest.partition(" ")
    if method == "gRPC":
        return called(protocol, address)
    wire = wires.get(port.strip("()") or INFERENCE)
    if wire is None:
        return Found(None, "there is no such port")
    return asked(wire, method, re.sub(r"\{(\w+)\}", lambda part: VALUES.get(part[1], "m"), address), headers)


def asked(wire: Wire, method: str, target: str, headers: Headers = ()) -> Found:
    """What the wire makes of a method and a target."""
    predicted = wire.predict_route(method.encode(), target.encode())
    if predicted is not None:
        return Found(predicted.operation)
    path, _, query = target.partition("?")
    base = Request(method=method, path=path, raw_path=path, query=tuple(parse_qsl(query)), headers=headers)
    for route in wire.routes:
        parameters = _parameters(route, method, path)
        if parameters is not None:
            return _read(wire, route, msgspec.structs.replace(base, path_params=parameters))
    return _told(wire.unmatched(base)) if wire.owns(path) else Found(None)


def called(protocol: str, path: str) -> Found:
    """What the protocol's wires over gRPC make of an empty message to a method."""
    request = Request(method="POST", path=path, raw_path=path)
    for wire, method in grpc_methods(protocol):
        if method.path != path:
            continue
        try:
            if isinstance(method, OrdinaryMethod):
                method.open(request)
        except SalverError as error:
            answer = wire.error(error)
            if answer.status == GrpcStatus.UNIMPLEMENTED:
                return Found(None, f"UNIMPLEMENTED {answer.body.decode()}")
        return Found(operation_of(method))
    return Found(HEALTH.get(path))


def _parameters(route: Route, method: str, path: str) -> dict[str, str] | None:
    match = compile_path(route.path)[0].fullmatch(path)
    fits = match is not None and ("*" in route.methods or method in route.methods)
    return match.groupdict() if match is not None and fits else None


def _read(wire: Wire, route: Route, request: Request) -> Found:
    """A route may still say that it does not do this: only reading the request shows it."""
    try:
        route.read(request)
    except SalverError as error:
        answer = wire.error(error, request)
        if answer.status in REFUSED or error.code in (Code.ROUTE_NOT_FOUND, Code.METHOD_NOT_ALLOWED):
            return _told(answer)
    return Found(route.operation)


def _told(answer: Answer) -> Found:
    if answer.status < 400:
        return Found(None, f"answered with {answer.status}", is_alike=True)
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return Found(None, str(answer.status))
    text = document.get("error") or document.get("message") if isinstance(document, dict) else ""
    text = text if isinstance(text, str) else (text or {}).get("message", "")
    return Found(None, f"{answer.status} {text}".strip().replace("|", "\\|").replace("{", "&#123;"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
