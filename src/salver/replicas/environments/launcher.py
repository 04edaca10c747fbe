"""Starts an installer with limits, and has it end with the server. Run by path, with the standard library alone.

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
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the server ended before this could hear of it
        os._exit(1)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, value in ((resource.RLIMIT_FSIZE, file_bytes), (resource.RLIMIT_DATA, memory_bytes)):
        if value:
            resource.setrlimit(limit, (value, value))
    os.umask(0o077)
    os.execv(program, arguments[3:])  # noqa: S606  there is no shell to be started with


if __name__ == "__main__":
    main(sys.argv[1:])
