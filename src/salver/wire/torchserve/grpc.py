"""TorchServe's services over gRPC. What they ask for is what the HTTP addresses ask for, and is read as that is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from google.protobuf.message import DecodeError, Message

from salver.errors import Code, RequestError, SalverError
from salver.operations import models, server
from salver.operations.base import Answer, AnsweredCall, Exchange, Request
from salver.operations.inference import PREDICT
from salver.operations.methods import GrpcStatus, Method, OrdinaryMethod, PredictMethod, StreamMethod
from salver.serving.payload import batch_group, body_to_inputs
from salver.types import DEFAULT_SIGNATURE, Body, InferRequest, InferResponse, Part, VersionInfo
from salver.wire.headers import for_model
from salver.wire.torchserve.answers import pretty
from salver.wire.torchserve.decoding import BODY_GROUP, plan_for
from salver.wire.torchserve.dialect import Dialect
from salver.wire.torchserve.encoding import encode
from salver.wire.torchserve.errors import Subject, row_of, text_of
from salver.wire.torchserve.grpcerrors import REFUSED, described, failure
from salver.wire.torchserve.inference import HEALTHY, UNHEALTHY
from salver.wire.torchserve.management import MmsManagementWire
from salver.wire.torchserve.oip.methods import oip_methods
from salver.wire.torchserve.pb import inference_pb2, management_pb2
from salver.wire.torchserve.versions import Directory, number_of

INFERENCE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
MANAGEMENT = "/org.pytorch.serve.grpc.management.ManagementAPIsService"
MANAGEMENT_STATUS = {
    400: GrpcStatus.INVALID_ARGUMENT,
    401: GrpcStatus.UNAUTHENTICATED,
    403: GrpcStatus.PERMISSION_DENIED,
    404: GrpcStatus.NOT_FOUND,
    405: GrpcStatus.PERMISSION_DENIED,
    409: GrpcStatus.ALREADY_EXISTS,
}
"""INTERNAL where it is not here."""
MessageT = TypeVar("MessageT", bound=Message)


def parsed(kind: type[MessageT], raw: bytes) -> MessageT:
    """Raises RequestError(INVALID_INPUT)."""
    message = kind()
    try:
        message.ParseFromString(raw)
    except DecodeError as error:
        raise RequestError(Code.INVALID_INPUT, f"The message is no {kind.__name__}.", fix="") from error
    return message


def _management_status(error: SalverError, status: int) -> GrpcStatus:
    if error.code in REFUSED:
        return GrpcStatus.PERMISSION_DENIED
    return MANAGEMENT_STATUS.get(status, GrpcStatus.INTERNAL)


NO_MESSAGE = Answer(GrpcStatus.OK, b"", None)


class TorchServeGrpcRoute:
    """One call of Predictions."""

    operation = PREDICT.name
    label: str | None = None

    def __init__(self, request: Request, wire: str, dialect: Dialect, served: Directory) -> None:
        message = parsed(inference_pb2.PredictionsRequest, request.body)
        if not message.model_name:
            raise RequestError(Code.INVALID_INPUT, "Parameter model_name is required.", fix="")
        self.wire = wire
        self.model = message.model_name
        text = message.model_version
        self.version = number_of(served().get(self.model), text) if text else None
        self._subject = Subject(self.model, text)
        self._message = message
        self._dialect = dialect

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        """A handler's inputs are bytes by their names; a model that takes tensors takes the same as JSON or raw."""
        plan = plan_for(version)
        items = sorted(self._message.input.items())
        if plan.signature is None:
            headers = {**for_model(exchange.headers), "explain": "False", "url_path": ""}
            parts = tuple(Part(name, "", data) for name, data in items)
            return InferRequest(version, DEFAULT_SIGNATURE, None, Body(parts, headers), 1, BODY_GROUP)
        tensors = tuple(Part(name, _media_type(data), data) for name, data in items)
        inputs, rows = body_to_inputs(tensors, plan.signature)
        return InferRequest(version, DEFAULT_SIGNATURE, inputs, None, rows, batch_group(DEFAULT_SIGNATURE, inputs))

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        answer = encode(response, request, call.request_id)
        message = inference_pb2.PredictionResponse(prediction=answer.body)
        if self._message.HasField("sequence_id"):
            message.sequence_id = self._message.sequence_id
        return Answer(GrpcStatus.OK, message.SerializeToString(), None)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return failure(error, self._subject, self._dialect)


class TorchServeGrpcStreamRoute(TorchServeGrpcRoute):
    """One request of a stream: each part of its answer is a message."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        request = super().decode(exchange, version)
        request.want_parts()
        return request

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """No outputs are no message."""
        return NO_MESSAGE if response.outputs == {} else super().encode(response, request, call)

    encode_part = encode_last = encode

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer:
        return self.error(error, call)


def _media_type(data: bytes) -> str:
    return "application/json" if data.lstrip()[:1] in (b"[", b"{") else "application/octet-stream"


class TorchServeGrpcWire:
    """InferenceAPIsService, and beside it the service of Open Inference where that is switched on."""

    def __init__(self, name: str, dialect: Dialect, served: Directory, *, has_open_inference: bool = False) -> None:
        self.name = name
        self._dialect = dialect
        self._served = served
        self._has_open_inference = has_open_inference

    @property
    def methods(self) -> Sequence[Method]:
        ping = OrdinaryMethod(
            path=f"{INFERENCE}/Ping",
            operation=server.READY.name,
            open=lambda request: request,
            read=lambda _: server.GetHealth(),
            write=write_health,
        )
        return (
            ping,
            PredictMethod(path=f"{INFERENCE}/Predictions", open=self._open),
            StreamMethod(path=f"{INFERENCE}/StreamPredictions", open=self._open_stream, takes_many=False),
            StreamMethod(path=f"{INFERENCE}/StreamPredictions2", open=self._open_stream),
            *(oip_methods(self.name, self._dialect, self._served) if self._has_open_inference else ()),
        )

    def _open(self, request: Request) -> TorchServeGrpcRoute:
        return TorchServeGrpcRoute(request, self.name, self._dialect, self._served)

    def _open_stream(self, request: Request) -> TorchServeGrpcRoute:
        return TorchServeGrpcStreamRoute(request, self.name, self._dialect, self._served)

    def error(self, error: SalverError) -> Answer:
        return failure(error, Subject(), self._dialect)


def write_health(result: server.HealthReport, _: Request) -> bytes:
    status = HEALTHY if result.replicas_ready >= result.replicas_wanted else UNHEALTHY
    document = pretty({"status": status}).decode().rstrip("\n")
    return inference_pb2.TorchServeHealthResponse(health=document).SerializeToString()


class TorchServeManagementGrpcWire:
    """ManagementAPIsService: each message becomes the request that asks for the same over HTTP."""

    def __init__(self, over_http: MmsManagementWire, dialect: Dialect) -> None:
        self.name = over_http.name
        self._http = over_http
        self._dialect = dialect

    @property
    def methods(self) -> Sequence[Method]:
        pb = management_pb2
        version = "/models/{model}/{version}"
        return (
            self._row("DescribeModel", models.GET.name, pb.DescribeModelRequest, "GET", "/models/{model}"),
            self._row("ListModels", models.LIST.name, pb.ListModelsRequest, "GET", "/models"),
            self._row("RegisterModel", models.PUBLISH.name, pb.RegisterModelRequest, "POST", "/models"),
            self._row("ScaleWorker", models.SCALE.name, pb.ScaleWorkerRequest, "PUT", "/models/{model}"),
            self._row("SetDefault", models.PROMOTE.name, pb.SetDefaultRequest, "PUT", f"{version}/set-default"),
            self._row("UnregisterModel", models.DELETE.name, pb.UnregisterModelRequest, "DELETE", "/models/{model}"),
        )

    def _row(self, name: str, operation: str, kind: type[Message], method: str, path: str) -> Method:
        route = next(each for each in self._http.routes if each.path == path and method in each.methods)

        def write(result: Any, request: Request) -> bytes:
            return message_of(route.write(result, request))

        return OrdinaryMethod(
            path=f"{MANAGEMENT}/{name}",
            operation=operation,
            open=lambda request: as_http(parsed(kind, request.body), request, method, path),
            read=route.read,
            write=write,
            model=route.model,
            error=self._error,
        )

    def _error(self, error: SalverError, request: Request) -> Answer:
        """The words of the HTTP address."""
        row = row_of(error, self._dialect)
        told = json.loads(self._http.error(error, request).body or b"{}")
        about = told.get("message", error.message)
        status = _management_status(error, told.get("code", row.status))
        return described(status, about, told.get("type", row.type))

    def error(self, error: SalverError) -> Answer:
        row = row_of(error, self._dialect)
        text = text_of(error, row, Subject())
        return described(_management_status(error, row.status), text, row.type)


OF_THE_PATH = frozenset({"model_name", "model_version"})


def as_http(message: Message, request: Request, method: str, path: str) -> Request:
    """The request that asks over HTTP for what the message asks: a name and a version in the path, else parameters.

    A number of 0 is one that was not set. Raises RequestError(INVALID_INPUT).
    """
    fields = {field.name: getattr(message, field.name) for field in message.DESCRIPTOR.fields}
    names = {"model": fields.get("model_name", ""), "version": fields.get("model_version", "")}
    is_about_one = "{model}" in path
    left_out = OF_THE_PATH if is_about_one else frozenset()
    given = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in fields.items()}
    query = tuple((key, given[key]) for key, value in fields.items() if key not in left_out and _is_told(key, value))
    return Request(
        method=method,
        path=path.format(model=names["model"], version=names["version"]),
        raw_path=f"{path}?{urlencode(query)}",
        path_params={key: value for key, value in names.items() if is_about_one and (value or key == "model")},
        query=query,
        request_id=request.request_id,
    )


def _is_told(key: str, value: Any) -> bool:
    """protobuf does not tell a number of 0 from none; a `synchronous` that is false is meant."""
    return key == "synchronous" or bool(value)


def message_of(answer: Answer) -> bytes:
    """What an answer says as a message: a status is its words, anything else the document.

    Raises RequestError for one that tells of a failure.
    """
    text = answer.body.decode().rstrip("\n")
    document = json.loads(text)
    if answer.status >= 400:
        raise RequestError(Code.LOAD_FAILED, document["message"], fix="")
    if isinstance(document, dict) and document.keys() == {"status"}:
        text = document["status"]
    return management_pb2.ManagementResponse(msg=text).SerializeToString()
