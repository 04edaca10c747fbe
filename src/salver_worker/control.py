"""The control link: frames with descriptors from the server, and a thread that answers while the model computes."""

from __future__ import annotations

import array
import os
import socket
import threading
import traceback
from typing import Any, Dict, List, NamedTuple, Optional

from salver_worker import frames
from salver_worker.activity import Activity
from salver_worker.inbox import Inbox, Load
from salver_worker.interrupt import Interrupt
from salver_worker.links import attach

CHUNK_BYTES = 64 * 1024
MAX_DESCRIPTORS = 16


class ControlFrame(NamedTuple):
    verb: int
    id: int
    header: Dict[str, Any]


class ControlLink:
    """Frames to and from the server. One thread receives; any may send."""

    def __init__(self, connection: socket.socket) -> None:
        self.descriptors: List[int] = []
        """Received and not yet taken, in order of arrival."""
        self._connection = connection
        self._received = bytearray()
        self._sending = threading.Lock()

    def receive(self) -> Optional[ControlFrame]:
        """The next frame; None when the server has closed the link or is gone."""
        if not self._receive_until(frames.PREFIX_SIZE):
            return None
        prefix = frames.unpack_prefix(self._received)
        end = frames.PREFIX_SIZE + prefix.header_length
        if not self._receive_until(end + prefix.body_length):
            return None
        header = frames.decode_header(self._received[frames.PREFIX_SIZE : end])
        del self._received[: end + prefix.body_length]
        return ControlFrame(prefix.verb, prefix.id, header)

    def send(self, verb: int, id: int, header: Dict[str, Any]) -> None:
        raw = frames.encode_frame(verb, id, header)
        with self._sending:
            self._connection.sendall(raw)

    def _receive_until(self, size: int) -> bool:
        while len(self._received) < size:
            if not self._receive_some():
                return False
        return True

    def _receive_some(self) -> bool:
        space = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
        try:
            data, ancillary, _flags, _address = self._connection.recvmsg(CHUNK_BYTES, space)
        except OSError:
            return False
        for level, kind, raw in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self._keep(raw)
        self._received += data
        return bool(data)

    def _keep(self, raw: bytes) -> None:
        numbers = array.array("i")
        numbers.frombytes(raw[: len(raw) - len(raw) % numbers.itemsize])
        for number in numbers:
            os.set_inheritable(number, False)  # a child of the model's must not hold a link open
            self.descriptors.append(number)


class ControlThread(threading.Thread):
    """Reads the control link until its end, which ends the process: without a server a worker has no purpose."""

    def __init__(self, link: ControlLink, inbox: Inbox, interrupt: Interrupt, activity: Activity) -> None:
        super().__init__(name="salver-control", daemon=True)
        self._link = link
        self._inbox = inbox
        self._interrupt = interrupt
        self._activity = activity
        self._answers = {
            frames.LOAD: self._on_load,
            frames.PING: self._on_ping,
            frames.ATTACH: self._on_attach,
            frames.CANCEL: self._on_cancel,
            frames.STOP: self._on_stop,
        }

    def run(self) -> None:
        status = 1
        try:
            self._serve()
            status = 0
        except Exception:  # noqa: BLE001  the boundary of the thread, which must not end without the process
            traceback.print_exc()
        finally:
            os._exit(status)

    def _serve(self) -> None:
        while True:
            frame = self._link.receive()
            if frame is None:
                return
            answer = self._answers.get(frame.verb)
            if answer is None:
                raise frames.FrameError("the verb %d has no meaning on the control link" % frame.verb)
            answer(frame)

    def _on_load(self, frame: ControlFrame) -> None:
        self._inbox.put_load(Load(frame.id, frame.header))

    def _on_ping(self, frame: ControlFrame) -> None:
        self._link.send(frames.PONG, frame.id, self._activity.report())

    def _on_attach(self, frame: ControlFrame) -> None:
        descriptors = self._link.descriptors
        slab_bytes = frame.header.get("slab_bytes", 0)
        link = attach(frame.header["link"], slab_bytes, descriptors)
        del descriptors[: 2 if slab_bytes else 1]
        self._inbox.put_link(link)

    def _on_cancel(self, frame: ControlFrame) -> None:
        self._interrupt.cancel((frame.header["link"], frame.id))

    def _on_stop(self, frame: ControlFrame) -> None:
        if self._activity.is_loading:
            os._exit(0)
        self._inbox.put_stop()
