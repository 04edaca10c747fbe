"""Starts an installer with limits, and has it and all that it starts end with the server.

Run by path, with the standard library alone:

    python -I -S launcher.py PARENT FILE_BYTES MEMORY_BYTES PROGRAM ARGUMENTS...

A limit of 0 is none.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, file_bytes, memory_bytes, program = *map(int, arguments[:3]), arguments[3]
    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # the server ended before this could hear of it
        os._exit(1)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, value in ((resource.RLIMIT_FSIZE, file_bytes), (resource.RLIMIT_DATA, memory_bytes)):
        if value:
            resource.setrlimit(limit, (value, value))
    os.umask(0o077)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.execv(program, arguments[3:])  # noqa: S606  there is no shell to be started with
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main(sys.argv[1:])
