"""One worker process: load what the server names, then answer until it says stop."""

from __future__ import annotations

import argparse
import io
import os
import signal
import socket
import sys
from typing import Any, NoReturn, Sequence

from salver_worker import frames
from salver_worker.activity import Activity
from salver_worker.control import ControlLink, ControlThread
from salver_worker.failures import failed_header
from salver_worker.host import Host
from salver_worker.inbox import Inbox
from salver_worker.interrupt import Interrupt
from salver_worker.loading import load
from salver_worker.parent import die_with_parent

LOAD_FAILED_STATUS = 3


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 after STOP, 3 when the model could not be loaded."""
    parser = argparse.ArgumentParser(prog="python -m salver_worker")
    parser.add_argument("--control-fd", type=int, required=True, help="descriptor of the socket to the server")
    descriptor = parser.parse_args(arguments).control_fd
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches the server, and it decides
    _write_whole_lines(sys.stdout, sys.stderr)
    os.set_inheritable(descriptor, False)
    return _serve(ControlLink(socket.socket(fileno=descriptor)))


def _serve(control: ControlLink) -> int:
    inbox, activity, interrupt = Inbox(), Activity(), Interrupt()
    ControlThread(control, inbox, interrupt, activity).start()
    named = inbox.wait_for_load()
    try:
        loaded = load(named.header)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the boundary: a model's own code may raise anything
        control.send(frames.FAILED, named.id, failed_header(error))
        _leave(LOAD_FAILED_STATUS)
    activity.is_loading = False
    activity.measures = getattr(loaded.model, "measures", None)
    control.send(frames.READY, named.id, loaded.ready)
    Host(loaded.predictor, inbox, interrupt, activity).run()
    loaded.model.close()
    return 0


def _leave(status: int) -> NoReturn:
    """Exit without waiting for threads that a failed model may have left behind."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _write_whole_lines(*streams: Any) -> None:
    """Lines of print() reach the log when they are printed, though the streams are pipes."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
