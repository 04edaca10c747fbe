"""Starts an installer with limits and in a cage, and has it and all that it starts end with the server.

Run by path, with the standard library alone:

    python -I -S launcher.py PARENT FILE_BYTES MEMORY_BYTES READABLE WRITABLE PROGRAM ARGUMENTS...

A limit of 0 is none. READABLE and WRITABLE are folders and files with `:` between them: what is below those the
installer may read and run, or change as well. There is no cage where WRITABLE is empty, and none where the kernel knows
no Landlock.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import stat
import sys

NICENESS = 10
PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Landlock's system calls, the same on all machines."""
VERSION_FLAG, BELOW_PATH = 1, 1
EXECUTE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 2, 1 << 3
READING = EXECUTE | READ_FILE | READ_FOLDER
OF_FILES = EXECUTE | 1 << 1 | READ_FILE | 1 << 14 | 1 << 15
"""Rights that a rule about a file may have: to run, write, read and truncate it, and to control a device."""
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights to files, by the version of the kernel's interface; later ones have those of 5."""
SCOPES = 0b11
"""From version 6: no signals to processes outside the cage, and no connection to their abstract sockets."""


class Attributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class Below(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("rights", ctypes.c_uint64), ("parent", ctypes.c_int32))


def main(arguments: list[str]) -> None:
    parent, file_bytes, memory_bytes = map(int, arguments[:3])
    readable, writable, program = arguments[3:6]
    libc = ctypes.CDLL(None, use_errno=True)
    if os.getpid() != os.getpgrp():
        os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(0, signal.SIGKILL))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # the server ended before this could hear of it
        os._exit(1)
    stand_back()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for limit, value in ((resource.RLIMIT_FSIZE, file_bytes), (resource.RLIMIT_DATA, memory_bytes)):
        if value:
            resource.setrlimit(limit, (value, value))
    os.umask(0o077)
    child = os.fork()
    if not child:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if writable:
            enclose(libc, readable.split(":"), writable.split(":"))
        os.execv(program, arguments[5:])  # noqa: S606  there is no shell to be started with
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(code if code >= 0 else 128 - code)


def stand_back() -> None:
    """Behind the server: as a process, and as a session, which Linux may take as one."""
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError), open("/proc/self/autogroup", "w") as file:
            file.write(str(NICENESS))


def landlock_version(libc: ctypes.CDLL) -> int:
    """Of the kernel's interface; 0 where there is none."""
    found: int = libc.syscall(CREATE_RULESET, None, 0, VERSION_FLAG)
    return max(0, found)


def enclose(libc: ctypes.CDLL, readable: list[str], writable: list[str]) -> None:
    """From here on this process, and all that it starts, has no other files. Raises OSError where that fails."""
    version = landlock_version(libc)
    if not version:
        return
    rights = RIGHTS[min(version, max(RIGHTS))]
    attributes = Attributes(rights, 0, SCOPES if version >= 6 else 0)
    size = ctypes.sizeof(attributes) if version >= 6 else 8
    rules = _checked(libc.syscall(CREATE_RULESET, ctypes.byref(attributes), size, 0))
    for paths, wanted in ((readable, READING), (writable, rights)):
        for path in paths:
            _allow(libc, rules, path, wanted & rights)
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(libc.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        _checked(libc.syscall(ADD_RULE, rules, BELOW_PATH, ctypes.byref(Below(rights, descriptor)), 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
