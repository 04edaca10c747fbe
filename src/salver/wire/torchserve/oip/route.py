"""ModelInfer: a handler gets the request as JSON, a model that takes tensors gets its tensors."""

from __future__ import annotations

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange, Request
from salver.operations.inference import PREDICT
from salver.operations.methods import GrpcStatus
from salver.types import (
    DEFAULT_SIGNATURE,
    Body,
    BodyResult,
    InferRequest,
    InferResponse,
    Part,
    PayloadKind,
    VersionInfo,
)
from salver.wire.headers import for_model
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.grpcmessages import parse, read_message
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import V2Request
from salver.wire.torchserve.decoding import BODY_GROUP
from salver.wire.torchserve.dialect import Dialect
from salver.wire.torchserve.errors import Subject
from salver.wire.torchserve.grpcerrors import failure
from salver.wire.torchserve.oip.messages import handler_document, handler_message, tensor_message
from salver.wire.torchserve.versions import Directory, name_among, number_of


class OipRoute:
    """One message."""

    operation = PREDICT.name
    label: str | None = None

    def __init__(self, request: Request, wire: str, dialect: Dialect, served: Directory) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        message = parse(pb.ModelInferRequest, request.body)
        if not message.model_name:
            raise RequestError(Code.INVALID_INPUT, "Parameter model_name is required.", fix="")
        self.wire = wire
        self.model: str = message.model_name
        text = message.model_version
        self.version = number_of(served().get(self.model), text) if text else None
        self._subject = Subject(self.model, text)
        self._message = message
        self._dialect = dialect
        self._served = served

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        if version.payload is PayloadKind.TENSORS:
            document, pieces = read_message(self._message)
            return Plan(version).read(document, pieces)
        headers = {**for_model(exchange.headers), "explain": "False", "url_path": ""}
        body = Body((Part("body", "application/json", handler_document(self._message)),), headers)
        return InferRequest(version, DEFAULT_SIGNATURE, None, body, 1, BODY_GROUP)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        name = name_among(self._served().get(self.model), response.version.id.version)
        if response.body is not None:
            message = handler_message(answered(response.body), self.model, name, self._message.id)
        else:
            assert isinstance(request, V2Request)
            message = tensor_message(response, request, response.outputs or {}, name)
        return Answer(GrpcStatus.OK, message.SerializeToString(), None)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return failure(error, self._subject, self._dialect)


def answered(result: BodyResult) -> bytes:
    """What a handler answered. Raises RequestError(MODEL_ERROR) for one that told of a failure."""
    if result.status >= 400:
        text = result.data.decode("utf-8", "replace")
        raise RequestError(Code.MODEL_ERROR, text, fix="", status=result.status)
    return result.data
