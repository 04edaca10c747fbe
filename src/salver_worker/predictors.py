"""From a PREDICT frame to what RESULT holds, for the two kinds of model: tensors by name, and bodies."""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Dict, Iterator, List, Mapping, Protocol, Sequence

from salver_worker.conversions.plan import ConversionPlan
from salver_worker.errors import InputError
from salver_worker.frames import FrameError, decode_header, encode_header
from salver_worker.inputs import DEFAULT_SIGNATURE, DEFAULT_SIGNATURES, MAX_REMEMBERED, InputReader
from salver_worker.interrupt import Interrupt
from salver_worker.links import DataLink, Frame
from salver_worker.outputs import Answer, OutputWriter
from salver_worker.parts import NOTHING_MORE, WANTED, PartSender
from salver_worker.runtimes.base import Arrays, BodyModel, BodyRequest, BodyResponse, PartsModel


class Answering(Protocol):
    """What answers one signature: a model, or one of its further signatures."""

    @property
    def has_batch_dimension(self) -> bool: ...

    @property
    def predict(self) -> Callable[[Arrays, Mapping[str, Any]], Arrays]: ...


class TensorPredictor:
    """Reads tensors, converts them as the manifest says, asks the model, converts back and writes."""

    def __init__(self, model: Answering, plan: ConversionPlan, names: Sequence[str] = DEFAULT_SIGNATURES) -> None:
        """`names` are what requests may call the signature by."""
        self._model = model
        self._plan = plan
        self._predict = model.predict if plan.is_identity else self._predict_converted
        self._reader = InputReader(plan.signature, has_batch_dimension=model.has_batch_dimension, names=names)
        self._writer = OutputWriter(plan.signature)

    def answer(self, frame: Frame, link: DataLink, interrupt: Interrupt) -> Answer:
        inputs, parameters = self._reader.read(frame.header, frame.body, link.slab)
        return self._writer.write(self._predict(inputs, parameters))

    def rehearse(self, inputs: Arrays) -> Arrays:
        """The callers' outputs, checked against the signature as those of a request are."""
        outputs = self._predict(inputs, {})
        self._writer.write(outputs)
        return outputs

    def _predict_converted(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        """The callers' outputs for the callers' inputs."""
        outputs = self._model.predict(self._plan.convert_inputs(inputs), parameters)
        return self._plan.convert_outputs(outputs)


class PartsPredictor(TensorPredictor):
    """The same for a model that gives its answer in parts to whoever takes them."""

    def __init__(self, model: PartsModel, plan: ConversionPlan, names: Sequence[str] = DEFAULT_SIGNATURES) -> None:
        super().__init__(model, plan, names)
        self._parts = model.predict_parts

    def answer(self, frame: Frame, link: DataLink, interrupt: Interrupt) -> Answer:
        if WANTED.encode() not in frame.header or not decode_header(frame.header).get(WANTED):
            return super().answer(frame, link, interrupt)
        inputs, parameters = self._reader.read(frame.header, frame.body, link.slab)
        sender = PartSender(link, frame.id, interrupt)
        plan = self._plan
        given = self._parts(inputs if plan.is_identity else plan.convert_inputs(inputs), parameters)
        with closed_after(given) as parts:
            for part in parts:
                sender.send(self._writer.write(part if plan.is_identity else plan.convert_outputs(part)))
        return NOTHING_MORE


@contextlib.contextmanager
def closed_after(parts: Iterator[Arrays]) -> Iterator[Iterator[Arrays]]:
    """A generator that is not read to its end is closed, so that what it cleans up is cleaned up now."""
    try:
        yield parts
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()


class SignaturePredictors:
    """The predictors of a model with several signatures; which one is meant is found by the header's bytes."""

    def __init__(self, predictors: Mapping[str, TensorPredictor]) -> None:
        self._predictors = predictors
        self._by_header: Dict[bytes, TensorPredictor] = {}

    def answer(self, frame: Frame, link: DataLink, interrupt: Interrupt) -> Answer:
        predictor = self._by_header.get(frame.header) or self._find(frame.header)
        return predictor.answer(frame, link, interrupt)

    def _find(self, raw_header: bytes) -> TensorPredictor:
        name = decode_header(raw_header).get("signature") or DEFAULT_SIGNATURE
        predictor = self._predictors.get(name)
        if predictor is None:
            raise InputError("there is no signature %r; there are: %s" % (name, ", ".join(self._predictors)))
        if len(self._by_header) >= MAX_REMEMBERED:
            self._by_header.clear()
        self._by_header[raw_header] = predictor
        return predictor


class BodyPredictor:
    """Hands requests to the model as they came."""

    def __init__(self, model: BodyModel) -> None:
        self._model = model

    def answer(self, frame: Frame, link: DataLink, interrupt: Interrupt) -> Answer:
        sender = PartSender(link, frame.id, interrupt)
        responses = self._model.predict_bodies(read_requests(frame, sender))
        rows = [response_row(response) for response in responses]
        data = [response.data for response in responses]
        return Answer(encode_header({"responses": rows}), data, sum(map(len, data)))


def read_requests(frame: Frame, sender: PartSender) -> List[BodyRequest]:
    """The requests of a PREDICT frame. Raises FrameError when header and body disagree."""
    offset = 0
    requests = []
    for place, row in enumerate(decode_header(frame.header).get("requests", [])):
        parts = []
        for name, content_type, size in row["parts"]:
            if offset + size > len(frame.body):
                raise FrameError("the parts of a PREDICT are longer than its body")
            parts.append((name, content_type, frame.body[offset : offset + size]))
            offset += size
        send = part_of(sender, place) if row.get(WANTED) else None
        requests.append(BodyRequest(row["id"], row.get("headers", {}), parts, send))
    return requests


def part_of(sender: PartSender, request: int) -> Callable[[BodyResponse], None]:
    def send(response: BodyResponse) -> None:
        sender.send_of(request, {"responses": [response_row(response)]}, response.data)

    return send


def response_row(response: BodyResponse) -> Dict[str, Any]:
    return {
        "status": response.status,
        "phrase": response.phrase,
        "headers": dict(response.headers),
        "content_type": response.content_type,
        "size": len(response.data),
    }
