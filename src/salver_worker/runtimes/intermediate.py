"""Answers that a handler sends before it returns (ts/handler_utils/utils.py, `send_intermediate_predict_response`)."""

from __future__ import annotations

import struct
from typing import Callable, Iterator, List, Sequence, Tuple, Union

from salver_worker.runtimes.base import BodyRequest, BodyResponse
from salver_worker.runtimes.context import STREAM_NEXT, Context, RequestProcessor

Data = Union[bytes, bytearray]
NUMBER = struct.Struct("!i")
MakeResponse = Callable[[Data, RequestProcessor], BodyResponse]


class Intermediate:
    """Of one batch: sends what comes for those who take parts, and keeps it for the others until the end."""

    def __init__(
        self, requests: Sequence[BodyRequest], processors: Sequence[RequestProcessor], respond: MakeResponse
    ) -> None:
        self._requests = requests
        self._processors = processors
        self._respond = respond
        self._kept: List[List[Data]] = [[] for _ in requests]

    def send(self, place: int, data: Data) -> None:
        """Of the request at this place in the batch."""
        send_part = self._requests[place].send_part
        if send_part is None:
            self._kept[place].append(data)
        else:
            send_part(self._respond(data, self._processors[place]))

    def last(self, place: int, data: Data) -> BodyResponse:
        """What the handler returned for a request: the last part, or the whole that all of them make."""
        processor, request, kept = self._processors[place], self._requests[place], self._kept[place]
        headers = processor.get_response_headers()
        if request.send_part is None:
            headers.pop(STREAM_NEXT, None)
            data = b"".join([*kept, data]) if kept else data
        elif STREAM_NEXT in headers:
            headers[STREAM_NEXT] = "false"
        return self._respond(data, processor)


class FrontendSocket:
    """What TorchServe's own package sends intermediate answers to, where it is installed (`Context.cl_socket`)."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def sendall(self, message: Data) -> None:
        """One whole message of `create_predict_response` (ts/protocol/otf_message_handler.py)."""
        places = {id: place for place, id in self._context.request_ids.items()}
        for id, data in read_answers(bytes(message)):
            self._context.send_part(places[id], data)


def read_answers(message: bytes) -> Iterator[Tuple[str, bytes]]:
    """Of each answer its request's id and its bytes; the status and headers with it are the context's."""
    reader = Reader(message)
    reader.number()  # a code and a text about all of them
    reader.text()
    while True:
        length = reader.number()
        if length < 0:
            return
        id = reader.take(length).decode()
        reader.text()  # the content type
        reader.number()  # the status and its phrase
        reader.text()
        for _ in range(2 * reader.number()):
            reader.text()  # a header's name, and its value
        yield id, reader.text()


class Reader:
    """Numbers, and bytes behind their length."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._place = 0

    def number(self) -> int:
        (value,) = NUMBER.unpack(self.take(NUMBER.size))
        return int(value)

    def text(self) -> bytes:
        return self.take(self.number())

    def take(self, size: int) -> bytes:
        start, self._place = self._place, self._place + size
        return self._message[start : self._place]
