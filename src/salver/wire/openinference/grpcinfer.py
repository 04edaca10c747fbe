"""ModelInfer and ModelStreamInfer: a message is a request, and its answer one message, or one for each part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange, Request
from salver.operations.inference import PREDICT
from salver.operations.methods import GrpcStatus
from salver.types import Array, InferRequest, InferResponse, ModelVersion, VersionInfo
from salver.wire.headers import for_model
from salver.wire.openinference.bodies import BodyPlan, body_output
from salver.wire.openinference.codec import Plan
from salver.wire.openinference.errors import Subject
from salver.wire.openinference.generate import adds_nothing
from salver.wire.openinference.grpcerrors import grpc_error
from salver.wire.openinference.grpcmessages import EMPTY_FINAL, infer_response, parse, read_message, version_of
from salver.wire.openinference.infer import NAME, plan_for
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.request import V2Request

MAX_PLANS = 1024
FINAL = "triton_final_response"
NO_MESSAGE = Answer(GrpcStatus.OK, b"", None)
"""Behind parts that were the whole answer."""
ENDING = (Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.SHUTTING_DOWN)
"""Errors that end a stream: its next message would have the same."""


class Plans:
    """What is worked out for versions, kept from call to call."""

    def __init__(self) -> None:
        self._known: dict[ModelVersion, Plan | BodyPlan] = {}

    def find(self, version: VersionInfo) -> Plan | BodyPlan:
        """Raises RequestError(SIGNATURE_NOT_FOUND)."""
        plan = self._known.get(version.id)
        if plan is None or plan.version is not version:
            if len(self._known) >= MAX_PLANS:
                self._known.clear()
            plan = self._known[version.id] = plan_for(version)
        return plan


class GrpcInferRoute:
    """One message of ModelInfer."""

    wire = NAME
    operation = PREDICT.name
    label: str | None = None

    def __init__(self, plans: Plans, request: Request) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        self._plans = plans
        self._message = parse(pb.ModelInferRequest, request.body)
        self.model: str = self._message.model_name
        self.version = version_of(self._message.model_version)

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        plan = self._plans.find(version)
        document, pieces = read_message(self._message)
        if isinstance(plan, BodyPlan):
            return plan.read(document, pieces, for_model(exchange.headers))
        return plan.read(document, pieces)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return Answer(GrpcStatus.OK, self._answered(response, request).SerializeToString(), None)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        found = call.version if call is not None else 0
        return grpc_error(error, Subject(self.model, found or self.version))

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each message is taken by itself."""

    def _answered(self, response: InferResponse, request: InferRequest) -> Any:
        assert isinstance(request, V2Request)
        outputs = response.outputs
        if outputs is None:
            body = response.body
            assert body is not None
            if body.status >= 400:
                text = body.data.decode("utf-8", "replace")
                raise RequestError(Code.MODEL_ERROR, text, fix="", status=body.status)
            outputs = body_output(body)
        return self._message_of(response, request, outputs)

    def _message_of(self, response: InferResponse, request: V2Request, outputs: Mapping[str, Array]) -> Any:
        return infer_response(response, request, outputs)


class GrpcStreamRoute(GrpcInferRoute):
    """One message of ModelStreamInfer, answered in as many as the answer has parts.

    What is wrong with it is told in a message, and the stream goes on.
    """

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        request = super().decode(exchange, version)
        request.want_parts()
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return self._end(response, request) if response.outputs == {} else self._one(response, request, is_final=True)

    def encode_part(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return self._one(response, request, is_final=False)

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return self._end(response, request) if adds_nothing(response) else self._one(response, request, is_final=True)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return self.error(error, call)

    def _one(self, response: InferResponse, request: InferRequest, *, is_final: bool) -> Answer:
        message = self._answered(response, request)
        message.parameters[FINAL].bool_param = is_final
        return _told(pb.ModelStreamInferResponse(infer_response=message))

    def _end(self, response: InferResponse, request: InferRequest) -> Answer:
        """A message without outputs, for callers who ask to be told of the end so."""
        if not self._message.parameters[EMPTY_FINAL].bool_param:
            return NO_MESSAGE
        assert isinstance(request, V2Request)
        id = response.version.id
        message = pb.ModelInferResponse(model_name=id.model, model_version=str(id.version), id=request.id)
        message.parameters[FINAL].bool_param = True
        return _told(pb.ModelStreamInferResponse(infer_response=message))

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        answer = super().error(error, call)
        if error.code in ENDING:
            return answer
        text = answer.body.decode("utf-8", "replace")
        about = pb.ModelInferResponse(id=self._message.id)
        return _told(pb.ModelStreamInferResponse(error_message=text, infer_response=about))


def _told(message: Any) -> Answer:
    return Answer(GrpcStatus.OK, message.SerializeToString(), None)
