"""The data directory: the one folder the server writes to, held by one server at a time.

state.db       the store
server.lock    locked while a server runs; its content is that server's process id
server.json    where the running server can be reached
server.sock    its Unix socket
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from salver.errors import Code, StartupError
from salver.store.files import write_atomically

MAX_SOCKET_PATH = 107
"""Bytes; the kernel's own limit (``sun_path`` in unix(7))."""


class RunningServer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server tells its clients on the same machine."""

    pid: int
    urls: tuple[str, ...]
    socket: str | None = None
    """Path of the Unix socket at which the server's own user needs no key."""


class DirectoryLock:
    """Held while a server uses the directory. The kernel lets go of it when the process ends, however it ends.

    `descriptor` is closed on exec; a child made by fork alone must close it, or it holds the directory too.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> DirectoryLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class DataDirectory:
    """Names what lies in the folder. Making the value touches nothing on the disk."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        self.state = self.path / "state.db"
        self.socket = self.path / "server.sock"
        self._lock_file = self.path / "server.lock"
        self._server_file = self.path / "server.json"

    def prepare(self) -> None:
        """Make the folder, for this user alone. Raises StartupError when it cannot be used, or others may change it."""
        length = len(os.fsencode(self.socket))
        if length > MAX_SOCKET_PATH:
            raise self._unusable(
                f"its path is too long: the socket in it would have {length} bytes, and {MAX_SOCKET_PATH} are possible",
                "Choose a data directory with a shorter path.",
            )
        with self._in_words():
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._check_private(self.path.stat())

    def folder(self, name: str) -> Path:
        """A folder of this user alone inside the directory, made if there is none. Raises StartupError."""
        path = self.path / name
        with self._in_words():
            path.mkdir(mode=0o700, exist_ok=True)
        return path

    def emptied(self, name: str) -> Path:
        """A folder like `folder`, for files that no server before this one can still need. Raises StartupError."""
        path = self.folder(name)
        with self._in_words():
            for left in path.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return path

    def lock(self) -> DirectoryLock:
        """Hold the directory until released. Raises StartupError(DATA_DIRECTORY_LOCKED) that says who holds it."""
        with self._in_words():
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                self._take(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
        return DirectoryLock(descriptor)

    def announce(self, server: RunningServer) -> None:
        """Tell clients on this machine where the server is. Call it while holding the lock. Raises StartupError."""
        with self._in_words():
            write_atomically(self._server_file, msgspec.json.encode(server))

    def withdraw(self) -> None:
        """Take back what `announce` said; call it before the lock is released."""
        self._server_file.unlink(missing_ok=True)

    def running_server(self) -> RunningServer | None:
        """What the running server announced; None when there is none.

        A killed server leaves its announcement behind: who finds nobody at the address knows that it is stale.
        """
        try:
            return msgspec.json.decode(self._server_file.read_bytes(), type=RunningServer)
        except (OSError, msgspec.DecodeError):
            return None

    def _take(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise StartupError(Code.DATA_DIRECTORY_LOCKED, self._who_holds_it(holder)) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)

    def _who_holds_it(self, holder: str) -> str:
        server = self.running_server()
        where = f" at {', '.join(server.urls)}" if server is not None and str(server.pid) == holder else ""
        who = f"process {holder}" if holder else "another process"
        return f"The data directory {self.path} is in use by a server ({who}{where})."

    def _check_private(self, found: os.stat_result) -> None:
        uid = os.getuid()
        if uid != 0 and found.st_uid not in (uid, 0):
            raise self._unusable(f"it belongs to another user (user id {found.st_uid})", "Choose a folder of your own.")
        if found.st_mode & stat.S_IWOTH:
            raise self._unusable(
                "every user may write to it", f"Run `chmod o-w {self.path}`, or choose a folder in it."
            )
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise self._unusable("it may not be written to", "Choose a folder that the server may write to.")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Turns errors of the file system into a StartupError."""
        try:
            yield
        except OSError as error:
            raise self._unusable(f"{error.strerror}", "Choose a folder that the server may write to.") from error

    def _unusable(self, reason: str, fix: str) -> StartupError:
        return StartupError(Code.SETTINGS_INVALID, f"The data directory {self.path} cannot be used: {reason}.", fix=fix)
