"""The flags of MXNet Model Server, of both its generations, and of TorchServe, and what becomes of each here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Literal

import msgspec

Fate = Literal["used", "noted", "refused"]
MMS = ("mxnet-model-server", "multi-model-server")
OLD = ("mxnet-model-server",)
TORCHSERVE = ("torchserve",)
ALL = (*MMS, *TORCHSERVE)


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag. `told` says what it does, or why it does nothing, or what to do instead."""

    names: tuple[str, ...]
    commands: tuple[str, ...]
    fate: Fate
    told: str
    takes: Literal["switch", "value", "values"] = "value"
    is_old: bool = False
    """Whether it is one of MMS 0.4, which took models from anywhere and had one port."""

    @property
    def key(self) -> str:
        return self.names[0].lstrip("-").replace("-", "_")


FLAGS: tuple[Flag, ...] = (
    Flag(
        names=("--start",),
        commands=ALL,
        fate="used",
        takes="switch",
        told="starts the server in the background, as no flag does",
    ),
    Flag(names=("--stop",), commands=ALL, fate="used", takes="switch", told="stops it, after the requests in flight"),
    Flag(names=("--foreground",), commands=ALL, fate="used", takes="switch", told="serves in this process"),
    Flag(names=("--version", "-v"), commands=TORCHSERVE, fate="used", takes="switch", told="prints a version"),
    Flag(
        names=("--mms-config",), commands=MMS, fate="used", told="the config.properties; `sagemaker` is a built-in one"
    ),
    Flag(
        names=("--ts-config",),
        commands=TORCHSERVE,
        fate="used",
        told="the config.properties; `sagemaker` is a built-in one",
    ),
    Flag(names=("--model-store",), commands=ALL, fate="used", told="the folder of the archives"),
    Flag(
        names=("--models",),
        commands=ALL,
        fate="used",
        takes="values",
        told="`name=file`, `file` or `ALL`: the models of the start",
    ),
    Flag(names=("--workflow-store",), commands=TORCHSERVE, fate="used", told="the folder of the workflows"),
    Flag(
        names=("--disable-token-auth", "--dt"),
        commands=TORCHSERVE,
        fate="used",
        takes="switch",
        told="asks for no token",
    ),
    Flag(
        names=("--enable-model-api",),
        commands=TORCHSERVE,
        fate="used",
        takes="switch",
        told="lets models be registered and removed",
    ),
    Flag(
        names=("--log-config",),
        commands=ALL,
        fate="noted",
        told="logs are JSON lines on standard error; the settings `log_level` and `access_log` choose what is in them",
    ),
    Flag(names=("--cpp-log-config",), commands=TORCHSERVE, fate="noted", told="there is no C++ back end"),
    Flag(
        names=("--no-config-snapshots", "--ncs"),
        commands=TORCHSERVE,
        fate="noted",
        takes="switch",
        told="no snapshots are written; what is registered is kept in the data directory",
    ),
    Flag(
        names=("--plugins-path", "--ppath"),
        commands=TORCHSERVE,
        fate="refused",
        told="plug-ins are Java, and there is none here; what a plug-in did needs another way",
    ),
    Flag(
        names=("--port",),
        commands=OLD,
        fate="used",
        is_old=True,
        told="the port of predictions, 8080; there is no other then",
    ),
    Flag(names=("--host",), commands=OLD, fate="used", is_old=True, told="the address of predictions, localhost"),
    Flag(names=("--log-level",), commands=OLD, fate="used", is_old=True, told="the least grave event that is logged"),
    Flag(names=("--log-file",), commands=OLD, fate="noted", is_old=True, told="logs go to standard error; redirect it"),
    Flag(
        names=("--log-rotation-time",),
        commands=OLD,
        fate="noted",
        is_old=True,
        told="logs go to standard error; rotate what takes it",
    ),
    Flag(
        names=("--gpu",),
        commands=OLD,
        fate="noted",
        is_old=True,
        told="a worker chooses its own device; set CUDA_VISIBLE_DEVICES in model.toml",
    ),
    Flag(names=("--metrics-write-to",), commands=OLD, fate="noted", is_old=True, told="metrics are read at /metrics"),
    Flag(
        names=("--service",),
        commands=OLD,
        fate="refused",
        is_old=True,
        told="a service must be in the archive, where its manifest names it",
    ),
    Flag(
        names=("--gen-api",),
        commands=OLD,
        fate="refused",
        is_old=True,
        told="no client is generated; GET /api-description has the OpenAPI document for a generator",
    ),
)


def parser_for(command: str) -> argparse.ArgumentParser:
    """The original's parser: its exit code and its words for a flag that it does not know."""
    parser = argparse.ArgumentParser(
        prog=command,
        description=f"Serve as {command} does. Every flag of its is known.",
        epilog=f"Examples:\n  salver {command} --start --model-store models --models all\n  salver {command} --stop",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    start_or_stop = parser.add_mutually_exclusive_group()
    for flag in FLAGS:
        if command not in flag.commands:
            continue
        target = start_or_stop if flag.key in ("start", "stop", "version") else parser
        text = f"{flag.told[0].upper()}{flag.told[1:]}."
        if flag.fate != "used":
            text = f"{'Refused' if flag.fate == 'refused' else 'Does nothing'}: {flag.told}."
        if flag.takes == "switch":
            target.add_argument(*flag.names, dest=flag.key, action="store_true", help=text)
        else:
            nargs = "+" if flag.takes == "values" else None
            target.add_argument(*flag.names, dest=flag.key, nargs=nargs, help=text)
    return parser


def given_flags(command: str, arguments: argparse.Namespace) -> Sequence[Flag]:
    """The flags that were given."""
    return [flag for flag in FLAGS if command in flag.commands and getattr(arguments, flag.key) not in (None, False)]


def flags_table() -> str:
    """The rows of the table in docs/wires/mms-commands.md."""
    words = {"used": "", "noted": "does nothing: ", "refused": "refused: "}
    rows = []
    for flag in FLAGS:
        names = ", ".join(f"`{name}`" for name in flag.names)
        commands = "both" if flag.commands == ALL else "MMS 0.4" if flag.is_old else _server(flag.commands)
        rows.append(f"| {names} | {commands} | {words[flag.fate]}{flag.told} |\n")
    return "".join(rows)


def _server(commands: Sequence[str]) -> str:
    return "TorchServe" if commands == TORCHSERVE else "MMS"
