"""Parts of an answer on their way to whoever waits, while the model goes on with the rest."""

from __future__ import annotations

from typing import Any, Dict, Union

from salver_worker.frames import MAGIC, PART, PREFIX, PREFIX_SIZE, encode_header
from salver_worker.interrupt import Interrupt
from salver_worker.links import DataLink
from salver_worker.outputs import Answer

WANTED = "wants_parts"
"""The key of a PREDICT, or of one request in it, whose caller takes parts."""
NOTHING_MORE = Answer(encode_header({"tensors": []}), [], 0)
"""The RESULT behind parts that were the whole answer."""


class PartSender:
    """Sends the parts of one batch. Only the main thread uses it, and only while the batch runs."""

    def __init__(self, link: DataLink, id: int, interrupt: Interrupt) -> None:
        self._link = link
        self._id = id
        self._interrupt = interrupt

    def send(self, part: Answer) -> None:
        """One whole frame, whatever comes in between. Raises Cancelled, or OSError when the front end is gone."""
        header, buffers, size = part
        prefix = PREFIX.pack(MAGIC, PART, 0, 0, self._id, 0, len(header), size)
        with self._interrupt.held():
            self._link.send([prefix, header, *buffers], PREFIX_SIZE + len(header) + size)

    def send_of(self, request: int, header: Dict[str, Any], data: Union[bytes, bytearray]) -> None:
        """A part for one request of the batch."""
        self.send(Answer(encode_header({"request": request, **header}), [data], len(data)))
