"""A process of R, and what is said to it: questions by one pipe, answers by another. ``r/link.R`` is the other side.

The process ends with the worker, and the worker with it: a worker without its R has nothing to answer with.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.failures import Cancelled
from salver_worker.interrupt import SIGNAL
from salver_worker.parent import PR_SET_PDEATHSIG

if TYPE_CHECKING:
    from salver_worker.arrays import Array

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "r")
LAST_WORDS_S = 2.0
OK, FAILED, REFUSED, CANCELLED = range(4)
INTEGER = struct.Struct("<i")
HEAD = struct.Struct("<ii")
DOUBLE_TYPE, INTEGER_TYPE, LOGICAL_TYPE, TEXT_TYPE = range(4)
_NUMBERS: Dict[int, Any] = {DOUBLE_TYPE: np.dtype("<f8"), INTEGER_TYPE: np.dtype("<i4"), LOGICAL_TYPE: np.dtype("<i4")}


class Answer(NamedTuple):
    """A status, and values by name; texts are arrays of bytes."""

    status: int
    values: Dict[str, Array]

    def text(self, name: str) -> str:
        """The first element of a text, or nothing."""
        value = self.values.get(name)
        return str(value.flat[0].decode("utf-8", "replace")) if value is not None and value.size else ""


class RProcess:
    """Owned by the main thread: it alone asks."""

    def __init__(self, program: str, arguments: Sequence[str], variables: Dict[str, str]) -> None:
        theirs_in, self._questions = os.pipe()
        self._answers, theirs_out = os.pipe()
        command = [program, "--vanilla", os.path.join(SOURCES, "serve.R"), SOURCES, *arguments]
        try:
            self._process = subprocess.Popen(  # noqa: S603  the R of this machine
                [*command, str(theirs_in), str(theirs_out)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs_in, theirs_out),
                env={**os.environ, **_locale(), **variables},
                preexec_fn=_dies_with_parent(),
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._is_closing = False
        threading.Thread(target=self._end_with_it, name="salver-r", daemon=True).start()

    def next_answer(self) -> Answer:
        """What it tells unasked: the versions of packages, then the model when that is open."""
        return self._read_answer()

    def ask(self, question: Sequence[bytes]) -> Answer:
        """Raises Cancelled when that comes meanwhile; R has stopped then, and what it answered is gone."""
        signal.pthread_sigmask(signal.SIG_BLOCK, [SIGNAL])  # a raised signal in the midst of an answer would lose bytes
        try:
            self._write(b"".join(question))
            cancelled = self._wait()
            answer = self._read_answer()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [SIGNAL])
        if cancelled is not None:
            raise cancelled
        return answer

    def close(self) -> None:
        self._is_closing = True
        os.close(self._questions)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS_S)
        self._process.kill()

    def _wait(self) -> Optional[Cancelled]:
        """Until an answer begins to come, or R was told to stop."""
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [SIGNAL])
            select.select([self._answers], [], [])
            signal.pthread_sigmask(signal.SIG_BLOCK, [SIGNAL])
        except Cancelled as cancelled:
            signal.pthread_sigmask(signal.SIG_BLOCK, [SIGNAL])
            self._process.send_signal(signal.SIGINT)
            return cancelled
        return None

    def _read_answer(self) -> Answer:
        status, count = HEAD.unpack(self._read(HEAD.size))
        return Answer(status, dict(self._read_value() for _ in range(count)))

    def _read_value(self) -> Any:
        name = bytearray()
        while not name.endswith(b"\0"):
            name += self._read(1)
        kind, rank = HEAD.unpack(self._read(HEAD.size))
        shape: List[int] = np.frombuffer(self._read(4 * rank), "<i4").tolist()
        if kind == TEXT_TYPE:
            (size,) = INTEGER.unpack(self._read(INTEGER.size))
            texts = bytes(self._read(size)).split(b"\0")[:-1]
            return name[:-1].decode(), bytes_array(texts, (len(texts),)).reshape(shape, order="F")
        dtype = _NUMBERS[kind]
        array = np.frombuffer(self._read(dtype.itemsize * int(np.prod(shape, dtype=np.int64))), dtype)
        array = array.reshape(shape, order="F")
        return name[:-1].decode(), array.astype(np.bool_) if kind == LOGICAL_TYPE else array

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view, filled = memoryview(data), 0
        while filled < size:
            piece = os.readv(self._answers, [view[filled:]])
            if not piece:
                self._end()
            filled += piece
        return data

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._questions, view) :]
            except BrokenPipeError:
                self._end()

    def _end_with_it(self) -> None:
        self._process.wait()
        if not self._is_closing:
            self._end()

    def _end(self) -> None:
        """Ends the worker, as the end of its own process would: the server starts another."""
        status = self._process.wait()
        how = "status %d" % status if status >= 0 else signal.Signals(-status).name
        print("salver_worker: R ended with %s" % how, file=sys.stderr)
        sys.stderr.flush()
        os._exit(1)


def _dies_with_parent() -> Optional[Callable[[], object]]:
    """What Linux is asked in the child before it becomes R. Found beforehand: there nothing may be imported."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _locale() -> Dict[str, str]:
    """Text is UTF-8 in R too, whatever the machine speaks."""
    spoken = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "")
    return {} if spoken.lower().replace("-", "").endswith("utf8") else {"LC_ALL": "C.UTF-8"}
