"""The loop of a worker: a frame from any front end, an answer, the next frame."""

from __future__ import annotations

import select
import sys
from time import monotonic
from typing import Any, Dict, List, Optional, Protocol

from salver_worker import frames
from salver_worker.activity import Activity
from salver_worker.failures import Cancelled, error_header
from salver_worker.frames import MAGIC, PREFIX
from salver_worker.inbox import Inbox
from salver_worker.interrupt import Interrupt
from salver_worker.links import DataLink, Frame
from salver_worker.outputs import Answer
from salver_worker.request import present


class Predictor(Protocol):
    """From the frame of a question to what the frame of its answer holds."""

    def answer(self, frame: Frame, link: DataLink, interrupt: Interrupt) -> Answer: ...


class Host:
    """Serves all links of one loaded model on the main thread, one batch at a time."""

    def __init__(self, predictor: Predictor, inbox: Inbox, interrupt: Interrupt, activity: Activity) -> None:
        self._predict = predictor.answer
        self._inbox = inbox
        self._interrupt = interrupt
        self._activity = activity
        self._links: Dict[int, DataLink] = {}
        # epoll is the cheaper one and Linux's alone; what is used of the two here is the same.
        self._poll: Any = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._poll.register(inbox.fileno(), select.POLLIN)

    def run(self) -> None:
        """Until STOP; what had been sent before STOP is still answered."""
        while not self._inbox.is_stopping:
            self._serve(None)
        self._serve(0)

    def _serve(self, timeout: Optional[int]) -> None:
        for descriptor, _event in self._poll.poll(timeout):
            link = self._links.get(descriptor)
            if link is None:
                self._attach(self._inbox.take_links())
                continue
            try:
                frame = link.receive()
                if frame is not None:
                    self._answer(link, frame)
                    continue
            except frames.FrameError as error:
                print("salver_worker: link %d is dropped: %s" % (link.number, error), file=sys.stderr)
            except OSError:
                pass  # the front end is gone, and with it whoever waited
            self._drop(link)

    def _attach(self, links: List[DataLink]) -> None:
        for link in links:
            self._links[link.fileno()] = link
            self._poll.register(link.fileno(), select.POLLIN)

    def _drop(self, link: DataLink) -> None:
        self._poll.unregister(link.fileno())
        del self._links[link.fileno()]
        link.close()

    def _answer(self, link: DataLink, frame: Frame) -> None:
        if frame.verb != frames.PREDICT:
            raise frames.FrameError("the verb %d has no meaning on a data link" % frame.verb)
        activity = self._activity
        interrupt = self._interrupt
        activity.busy_since = present.began_at = monotonic()
        present.deadline_ms = frame.deadline_ms
        batch = (link.number, frame.id)
        try:
            interrupt.running = batch
            try:
                if interrupt.unwanted == batch:
                    raise Cancelled
                header, buffers, size = self._predict(frame, link, interrupt)
            finally:
                interrupt.running = None
            verb = frames.RESULT
        except frames.FrameError:
            raise
        except (Exception, Cancelled, SystemExit) as error:  # noqa: BLE001  the boundary: a model may raise anything
            header, buffers, size = Answer(frames.encode_header(error_header(error)), [], 0)
            verb = frames.ERROR
        finally:
            activity.busy_since = 0.0
            activity.predictions += 1
        prefix = PREFIX.pack(MAGIC, verb, 0, 0, frame.id, 0, len(header), size)
        link.send([prefix, header, *buffers], frames.PREFIX_SIZE + len(header) + size)
