"""Reads the setting `doors`: which protocols answer at exactly which addresses."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from salver.errors import Code, StartupError
from salver.processes.base import Door

UNIX = "unix:"
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(?P<port>[0-9]{1,5})")
_FIX = "Write it as `mms@127.0.0.1:8080`, several protocols as `mms+mms-management`, a Unix socket as `mms@unix:/path`."


def parse_doors(texts: Sequence[str], known: Collection[str], grpc: Mapping[str, str]) -> tuple[Door, ...]:
    """The doors in the order given; an address that is named twice answers for both.

    `known` are the protocols that there are, `grpc` those over gRPC by what they are called here. Raises
    StartupError(SETTINGS_INVALID).
    """
    doors: list[Door] = []
    for door in [_parse(text, known, grpc) for text in texts]:
        same = next((number for number, other in enumerate(doors) if _is_same_address(door, other)), None)
        if same is None:
            doors.append(door)
        else:
            wires = tuple(dict.fromkeys((*doors[same].wires, *door.wires)))
            doors[same] = replace(door, wires=wires)
    return tuple(doors)


def _is_same_address(one: Door, other: Door) -> bool:
    """Port 0 is another one each time."""
    is_same = (one.host, one.port, one.path, one.is_grpc) == (other.host, other.port, other.path, other.is_grpc)
    return is_same and bool(one.port or one.path)


def _parse(text: str, known: Collection[str], grpc: Mapping[str, str]) -> Door:
    names, at, address = text.partition("@")
    wires = tuple(dict.fromkeys(name.strip() for name in names.split("+")))
    unknown = [name for name in wires if name not in known and name not in grpc]
    if not at or unknown:
        what = f"there is no protocol {unknown[0]!r}" if at else "it names no address"
        fix = f"Known are: {', '.join(sorted({*known, *grpc}))}." if at else _FIX
        raise StartupError(Code.SETTINGS_INVALID, f"doors: {text!r}: {what}.", fix=fix)
    is_grpc = wires[0] in grpc
    if any((name in grpc) is not is_grpc for name in wires) or (is_grpc and address.startswith(UNIX)):
        message = f"doors: {text!r}: gRPC has a port of its own."
        raise StartupError(
            Code.SETTINGS_INVALID, message, fix="Give it a door of its own, as `tfserving-grpc@HOST:PORT`."
        )
    wires = tuple(grpc.get(name, name) for name in wires)
    if address.startswith(UNIX):
        return Door(host="", port=0, wires=wires, path=_path(text, address.removeprefix(UNIX)))
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found["port"]) > 65535:
        raise StartupError(Code.SETTINGS_INVALID, f"doors: {text!r}: {address!r} is no address.", fix=_FIX)
    return Door(host=found["host"].strip("[]"), port=int(found["port"]), wires=wires, is_grpc=is_grpc)


def _path(text: str, path: str) -> str:
    if not path.startswith("/") or "\0" in path or len(path.encode()) > 107:
        message = f"doors: {text!r}: a socket's path begins with `/` and has at most 107 bytes."
        raise StartupError(Code.SETTINGS_INVALID, message, fix=_FIX)
    return path
