"""`mxnet-model-server`, `multi-model-server` and `torchserve`: started, stopped and served as the originals are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from salver import __version__
from salver.cli.pidfile import PidFile, is_running, is_server, stop
from salver.cli.serverflags import parser_for
from salver.cli.startline import KEY_FILE, FlagRefused, StartLine, read_start_line
from salver.events import Listening, Noted, ServerEvent

STARTED = "Model server started."
OLD_NAME = "Warning: Calling MMS with mxnet-model-server. Please move to multi-model-server."
TORCHSERVE_VERSION = "0.12.0"
STOP_PATIENCE_S = 90.0
"""Longer than a server takes that finishes what it has; then it is ended."""


class Words(msgspec.Struct, frozen=True):
    """What an original says."""

    is_running: str
    not_running: str
    stopped: str
    already_stopped: str


MMS_WORDS = Words(
    "Model server is already running, please use multi-model-server --stop to stop MMS.",
    "Model server is not currently running.",
    "Model server stopped.",
    "Model server already stopped.",
)
TORCHSERVE_WORDS = Words(
    "TorchServe is already running, please use torchserve --stop to stop TorchServe.",
    "TorchServe is not currently running.",
    "TorchServe has stopped.",
    "TorchServe already stopped.",
)


def server_command(name: str, summary: str) -> click.Command:
    """A command whose flags are the original's own."""

    @click.command(
        name,
        help=summary,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False},
    )
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        return run(name, arguments)

    return command


def run(command: str, line: Sequence[str]) -> int:
    """The exit code. Raises StartupError where the original has no words of its own."""
    try:
        arguments = parser_for(command).parse_args(list(line))
    except SystemExit as ended:  # after --help, or with the usage
        return int(ended.code or 0)
    words = TORCHSERVE_WORDS if command == "torchserve" else MMS_WORDS
    if command == "mxnet-model-server":
        _say(OLD_NAME)
    if getattr(arguments, "version", False):
        _say(f"TorchServe Version is {TORCHSERVE_VERSION} (answered by Salver {__version__})")
        return 0
    pid_file = PidFile()
    pid = pid_file.read()
    if arguments.stop:
        return _stop(command, pid_file, pid, words)
    if pid is not None and pid != os.getpid():
        if is_server(pid):
            _say(words.is_running)
            return 1
        if not is_running(pid):
            _say("Removing orphan pid file.")
            pid_file.remove()
    try:
        start = read_start_line(command, arguments, os.environ)
    except FlagRefused as refused:
        _say(str(refused))
        return 1
    return _serve(start, pid_file) if arguments.foreground else _start_behind(command, line, pid_file)


def _stop(command: str, pid_file: PidFile, pid: int | None, words: Words) -> int:
    if pid is None or (is_running(pid) and not is_server(pid)):
        _say(words.not_running)
        return 0
    has_stopped = is_server(pid) and stop(pid, STOP_PATIENCE_S)
    if command == "torchserve":
        Path(KEY_FILE).unlink(missing_ok=True)
    pid_file.remove()
    _say(words.stopped if has_stopped else words.already_stopped)
    return 0


def _start_behind(command: str, line: Sequence[str], pid_file: PidFile) -> int:
    """The same line in a process of its own that outlives this one and its terminal; returns at once."""
    process = subprocess.Popen(  # noqa: S603  our own interpreter, and the line that we were given
        [sys.executable, "-P", "-m", "salver", command, *line, "--foreground"],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    pid_file.write(process.pid)
    process.returncode = 0  # it is not waited for, and that is meant
    return 0


def _serve(start: StartLine, pid_file: PidFile) -> int:
    from salver.app.server import serve
    from salver.cli.narration import Narrator
    from salver.cli.serve import chosen
    from salver.cli.terminal import console, show_warning

    settings = start.resolution.settings
    for warning in start.resolution.warnings:
        show_warning(warning)
    narrator = Narrator(console(), needs_key=settings.access.anonymous == "none")
    narrator.settings([f"{name} {value} ({where})" for name, value, where in chosen(start.resolution) if value])
    for note in start.notes:
        narrator(Noted(text=note))

    def tell(event: ServerEvent) -> None:
        narrator(event)
        if isinstance(event, Listening):
            _say(STARTED)

    pid_file.write(os.getpid())
    try:
        return serve(settings, (), on_event=tell, given=start.given)
    finally:
        pid_file.remove_if(os.getpid())


def _say(text: str) -> None:
    """On standard output, as the originals do, where scripts read it."""
    click.echo(text)
