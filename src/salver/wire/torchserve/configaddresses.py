"""The addresses of config.properties (the originals' ``Connector``), as doors. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping

import msgspec

from salver.errors import Code, StartupError
from salver.wire.torchserve.configkeys import Server

INFERENCE, MANAGEMENT, METRICS = "inference_address", "management_address", "metrics_address"
DEFAULTS = {INFERENCE: "http://127.0.0.1:8080", MANAGEMENT: "http://127.0.0.1:8081", METRICS: "http://127.0.0.1:8082"}
PLAIN_PORTS = {INFERENCE: 80, MANAGEMENT: 8081, METRICS: 8082}
"""What an address without a port means."""
WIRES = {INFERENCE: "mms", MANAGEMENT: "mms-management", METRICS: "mms-metrics"}
GRPC = (("grpc_inference", "7070", "mms-grpc"), ("grpc_management", "7071", "mms-grpc-management"))
_ADDRESS = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^:/\s@]+)(?::(?P<port>[0-9]{1,5}))?/?|unix:(?P<path>/.*)",
    re.IGNORECASE,
)


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """One address and who answers there."""

    key: str
    wire: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def place(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Addresses(msgspec.Struct, frozen=True):
    """All addresses that the file wants to be opened."""

    all: tuple[Address, ...]

    @classmethod
    def of(cls, properties: Mapping[str, str], server: Server, name: str) -> Addresses:
        """Raises StartupError(SETTINGS_INVALID)."""
        keys = [INFERENCE, MANAGEMENT]
        has_metrics = properties.get("enable_metrics_api", "true").strip().lower() == "true"
        if server == "torchserve" and has_metrics:
            keys.append(METRICS)
        found = [_address(key, properties.get(key, DEFAULTS[key]).strip(), name) for key in keys]
        if server == "torchserve":
            found += [_grpc(prefix, default, wire, properties, name) for prefix, default, wire in GRPC]
        return cls(tuple(found))

    def doors(self, known: Container[str]) -> tuple[str, ...]:
        """Values of the setting `doors`; equal addresses are one. Protocols that are not known get none."""
        places: dict[str, list[str]] = {}
        for address in self.all:
            if address.wire in known:
                places.setdefault(address.place, []).append(address.wire)
        return tuple(f"{'+'.join(wires)}@{place}" for place, wires in places.items())


def _address(key: str, text: str, name: str) -> Address:
    found = _ADDRESS.fullmatch(text)
    port = int(found["port"] or PLAIN_PORTS[key]) if found is not None else 0
    if found is None or port > 65535:
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"{name}: {key} is no address: {text!r}.",
            fix=f"Write it as {DEFAULTS[key]}, or as unix:/path.",
        )
    if found["path"]:
        return Address(key=key, wire=WIRES[key], path=found["path"])
    if found["scheme"].lower() == "https":
        raise StartupError(
            Code.SETTINGS_INVALID,
            f"{name}: {key} is {text}, and the server has no TLS.",
            fix=f"Put a TLS proxy in front, and give {key} an http address with its port.",
        )
    return Address(key=key, wire=WIRES[key], host=found["host"].strip("[]"), port=port)


def _grpc(prefix: str, default: str, wire: str, properties: Mapping[str, str], name: str) -> Address:
    host = properties.get(f"{prefix}_address", "127.0.0.1").strip()
    port = properties.get(f"{prefix}_port", default).strip()
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        message = f"{name}: {prefix}_port is no port: {port!r}."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Write a number from 0 to 65535.")
    return Address(key=f"{prefix}_address", wire=wire, host=host.strip("[]"), port=int(port))
