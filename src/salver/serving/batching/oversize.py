"""A request with more rows than a batch may have: run in pieces, answered whole."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from salver.errors import SalverError
from salver.serving.batching.ticket import Ticket
from salver.types import InferRequest, InferResponse, SlabSlice, Tensor
from salver_worker.frames import DATATYPE_SIZES, element_count


class Piece(Ticket):
    """Some consecutive rows of a request."""

    def __init__(self, gathering: Gathering, index: int, request: InferRequest) -> None:
        Ticket.__init__(self, request, gathering.ticket.deadline, gathering.ticket.request_id)
        self.gathering = gathering
        self.index = index

    def reply(self, response: InferResponse | None, error: SalverError | None) -> None:
        self.gathering.piece_answered(self.index, response, error)

    def settle(self) -> None:
        self.gathering.piece_settled()


class Gathering:
    """Puts the pieces' answers together; the first error is the whole request's, and the other pieces are given up."""

    def __init__(self, ticket: Ticket, max_rows: int, cancel: Callable[[Ticket], None]) -> None:
        self.ticket = ticket
        self._cancel = cancel
        self.pieces = [Piece(self, index, part) for index, part in enumerate(sliced(ticket.request, max_rows))]
        self._answers: list[InferResponse | None] = [None] * len(self.pieces)
        self._missing = len(self.pieces)
        self._unsettled = len(self.pieces)

    def piece_answered(self, index: int, response: InferResponse | None, error: SalverError | None) -> None:
        if response is None:
            self._give_up(error)
            return
        copied = {name: array.copy() for name, array in (response.outputs or {}).items()}
        self._answers[index] = InferResponse(response.version, copied)  # the arrays lie in a buffer that is used again
        self._missing -= 1
        if not self._missing:
            self.ticket.is_done = True
            self.ticket.sent_at = self.pieces[0].sent_at
            self.ticket.reply(joined([answer for answer in self._answers if answer is not None]), None)

    def _give_up(self, error: SalverError | None) -> None:
        self.ticket.is_done = True
        for piece in self.pieces:
            if not piece.is_done:
                self._cancel(piece)
        self.ticket.reply(None, error)

    def piece_settled(self) -> None:
        self._unsettled -= 1
        if not self._unsettled:
            self.pieces = []  # nothing is asked of them any more; with them goes the circle that keeps their arrays
            self._answers = []
            self.ticket.whole = None
            self.ticket.settle()

    def cancel(self) -> None:
        """The caller is gone."""
        self.ticket.is_done = True
        for piece in self.pieces:
            self._cancel(piece)


def sliced(request: InferRequest, max_rows: int) -> list[InferRequest]:
    """The request as several of at most `max_rows` rows, in order."""
    parts: list[InferRequest] = []
    for start in range(0, request.rows, max_rows):
        end = min(start + max_rows, request.rows)
        inputs = {name: _rows(tensor, start, end) for name, tensor in (request.inputs or {}).items()}
        parts.append(
            InferRequest(
                request.version,
                request.signature_name,
                inputs,
                None,
                end - start,
                request.group,
                request.parameters,
            )
        )
    return parts


def joined(answers: list[InferResponse]) -> InferResponse:
    """The pieces' answers as one, row after row."""
    names = answers[0].outputs or {}
    outputs = {name: np.concatenate([(answer.outputs or {})[name] for answer in answers]) for name in names}
    return InferResponse(answers[0].version, outputs)


def _rows(tensor: Tensor, start: int, end: int) -> Tensor:
    shape = (end - start, *tensor.shape[1:])
    data = tensor.data
    if type(data) is SlabSlice:
        data = data.view
    if tensor.datatype == "BYTES":
        width = element_count(tensor.shape[1:])
        return Tensor(tensor.datatype, shape, data[start * width : end * width])
    if isinstance(data, (list, np.ndarray)):
        return Tensor(tensor.datatype, shape, data[start:end])
    size = element_count(tensor.shape[1:]) * DATATYPE_SIZES[tensor.datatype]
    return Tensor(tensor.datatype, shape, memoryview(data).cast("B")[start * size : end * size])
