"""MLServer's methods of GRPCInferenceService, in its dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from salver.errors import SalverError
from salver.operations import models
from salver.operations.base import Answer, AnsweredCall, Exchange, Request
from salver.operations.methods import Method, OrdinaryMethod, PredictMethod, StreamMethod, status_answer
from salver.types import Array, InferRequest, InferResponse, VersionInfo
from salver.wire.openinference import grpc as usual
from salver.wire.openinference.base import OpenInferenceSettings
from salver.wire.openinference.bodies import BodyPlan
from salver.wire.openinference.errors import Subject
from salver.wire.openinference.generate import adds_nothing
from salver.wire.openinference.grpcerrors import BY_HTTP, grpc_error
from salver.wire.openinference.grpcinfer import NO_MESSAGE, GrpcInferRoute, Plans
from salver.wire.openinference.grpcmessages import CONTENTS, read_message
from salver.wire.openinference.mlserver.cloudevents import cloud_event
from salver.wire.openinference.mlserver.document import adapted
from salver.wire.openinference.mlserver.errors import missing
from salver.wire.openinference.mlserver.infer import NAME
from salver.wire.openinference.mlserver.outputs import content_type, shape_of
from salver.wire.openinference.mlserver.rest import index_entry, wanted_unload
from salver.wire.openinference.outputs import outputs_of, raw_bytes
from salver.wire.openinference.pb import inference_pb2 as pb
from salver.wire.openinference.repository import index, wanted_load
from salver.wire.openinference.request import V2Request
from salver.wire.openinference.values import RAW_ONLY

KEPT = frozenset({"ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata"})
"""Methods that are as everybody's but for their errors."""


class MlServerGrpcWire:
    """The methods that MLServer has."""

    name = NAME

    def __init__(self, settings: OpenInferenceSettings | None = None) -> None:
        self._settings = settings or OpenInferenceSettings()
        plans = Plans()
        kept = {
            method.path.removeprefix(usual.SERVICE): method
            for method in usual.OpenInferenceGrpcWire(settings).methods
            if isinstance(method, OrdinaryMethod)
        }
        self._methods: tuple[Method, ...] = (
            PredictMethod(
                path=usual.SERVICE + "ModelInfer",
                open=lambda request: MlServerGrpcRoute(plans, request, self._settings.v2_server_name),
            ),
            StreamMethod(
                path=usual.SERVICE + "ModelStreamInfer", open=lambda request: MlServerGrpcStreamRoute(plans, request)
            ),
            *(replace(method, error=named_error) for name, method in kept.items() if name in KEPT),
            usual.row("RepositoryIndex", models.LIST.name, usual.read_index, write_index),
            usual.row(
                "RepositoryModelLoad",
                models.LOAD.name,
                lambda asked: wanted_load(asked.model_name, {}),
                usual.write_loaded,
                model=usual.model_name,
                error=named_error,
            ),
            usual.row(
                "RepositoryModelUnload",
                models.UNLOAD.name,
                lambda asked: wanted_unload(asked.model_name),
                usual.write_unloaded,
                model=usual.model_name,
                error=named_error,
            ),
        )

    @property
    def methods(self) -> tuple[Method, ...]:
        return self._methods

    def error(self, error: SalverError) -> Answer:
        return grpc_error(error)


class MlServerGrpcRoute(GrpcInferRoute):
    """One message: values come back as they came, typed or raw, and no id is made up.

    The headers of a cloud event are trailing metadata, where `server_name` is there; a stream has none.
    """

    wire = NAME

    def __init__(self, plans: Plans, request: Request, server_name: str = "") -> None:
        super().__init__(plans, request)
        self._server_name = server_name
        self._is_raw = bool(self._message.raw_input_contents)

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        plan = self._plans.find(version)
        if isinstance(plan, BodyPlan):
            return super().decode(exchange, version)
        document, pieces = read_message(self._message)
        return plan.read(adapted(document, plan.signature, pieces.pieces), pieces)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        answer = super().encode(response, request, call)
        if not self._server_name:
            return answer
        event = cloud_event(self._server_name, self.model, self._message.id)
        return replace(answer, headers=tuple((name.lower(), value) for name, value in event))

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        found = call.version if call is not None else 0
        return told_error(error, Subject(self.model, found or self.version), self.version)

    def _message_of(self, response: InferResponse, request: V2Request, outputs: Mapping[str, Array]) -> Any:
        return infer_response(response, request, outputs, is_raw=self._is_raw)


class MlServerGrpcStreamRoute(MlServerGrpcRoute):
    """One message of a stream: each part of its answer is a message."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> V2Request:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        request = super().decode(exchange, version)
        request.want_parts()
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return NO_MESSAGE if response.outputs == {} else super().encode(response, request, call)

    encode_part = encode

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID | INVALID_INPUT | MODEL_ERROR)."""
        return NO_MESSAGE if adds_nothing(response) else super().encode(response, request, call)

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return self.error(error, call)


def infer_response(response: InferResponse, request: V2Request, outputs: Mapping[str, Array], *, is_raw: bool) -> Any:
    """Raises RequestError(OUTPUT_INVALID)."""
    id = response.version.id
    message = pb.ModelInferResponse(model_name=id.model, model_version=str(id.version), id=request.id)
    found = list(outputs_of(response, request, outputs))
    is_raw = is_raw or any(datatype in RAW_ONLY for _, _, datatype in found)
    for wish, array, datatype in found:
        output = message.outputs.add(name=wish.name, datatype=datatype, shape=shape_of(array))
        output.parameters["content_type"].string_param = content_type(wish, datatype)
        output.contents.SetInParent()
        if is_raw:
            message.raw_output_contents.append(raw_bytes(array, datatype))
        else:
            getattr(output.contents, CONTENTS[datatype]).extend(array.reshape(-1).tolist())
    return message


def write_index(result: models.ModelList, asked: Any) -> Any:
    entries = map(index_entry, index(result, is_ready_only=asked.ready))
    return pb.RepositoryIndexResponse(models=[pb.RepositoryIndexResponse.ModelIndex(**entry) for entry in entries])


def named_error(error: SalverError, asked: Any) -> Answer:
    about = usual.subject_of(asked)
    return told_error(error, about, about.version)


def told_error(error: SalverError, about: Subject, asked: int | None) -> Answer:
    found = missing(error, about, asked)
    return grpc_error(error) if found is None else status_answer(error, BY_HTTP[found[0]], found[1])
