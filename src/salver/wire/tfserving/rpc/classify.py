"""`PredictionService/Classify`, `Regress` and `MultiInference`: Examples in, classes or numbers out."""

from __future__ import annotations

from collections.abc import Sequence

from salver.errors import Code, RequestError, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.methods import GrpcStatus
from salver.types import InferRequest, InferResponse, PayloadKind, VersionInfo
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.classes import class_columns
from salver.wire.tfserving.errors import Unimplemented, invalid
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.rpc.examples import examples_request
from salver.wire.tfserving.rpc.failures import failure
from salver.wire.tfserving.rpc.messages import address_of, answering_spec, read
from salver.wire.tfserving.rpc.results import classification_of, regression_of

METHODS = {"tensorflow/serving/classify": Verb.CLASSIFY, "tensorflow/serving/regress": Verb.REGRESS}


class TfExamplesCall:
    """One prediction from Examples; its answer is an InferenceResult, from which each method takes what it sends."""

    wire = "tfserving"
    operation = "models.predict"

    def __init__(self, address: Address, signature_name: str, given: tfs.Input) -> None:
        self._address = address
        self._signature_name = signature_name
        self._given = given
        self.model = address.model
        self.version = address.version
        self.label = address.label

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND)."""
        if version.payload is PayloadKind.BODY:
            raise invalid("This model takes bodies and has no signature for Examples; use Predict.")
        return examples_request(self._given, version, self._signature_name, self._address.verb)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        result = self._result(response, request)
        return Answer(GrpcStatus.OK, result.SerializeToString(), None)

    def _result(self, response: InferResponse, request: InferRequest) -> tfs.InferenceResult:
        signature = response.version.signature(request.signature_name)
        assert signature is not None
        assert response.outputs is not None
        spec = answering_spec(response.version, request.signature_name)
        if self._address.verb is Verb.REGRESS:
            (array,) = response.outputs.values()
            return tfs.InferenceResult(model_spec=spec, regression_result=regression_of(array))
        columns = class_columns(signature)
        assert columns is not None
        classes = classification_of(response.outputs, columns)
        return tfs.InferenceResult(model_spec=spec, classification_result=classes)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return failure(error, self._address, call)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each call is taken by itself."""


class TfClassifyCall(TfExamplesCall):
    def __init__(self, body: bytes) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        message = read(tfs.ClassificationRequest, body)
        spec = message.model_spec
        address = address_of(spec, Verb.CLASSIFY, is_there=message.HasField("model_spec"))
        super().__init__(address, spec.signature_name, message.input)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        found = self._result(response, request)
        answer = tfs.ClassificationResponse(result=found.classification_result, model_spec=found.model_spec)
        return Answer(GrpcStatus.OK, answer.SerializeToString(), None)


class TfRegressCall(TfExamplesCall):
    def __init__(self, body: bytes) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        message = read(tfs.RegressionRequest, body)
        spec = message.model_spec
        address = address_of(spec, Verb.REGRESS, is_there=message.HasField("model_spec"))
        super().__init__(address, spec.signature_name, message.input)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        found = self._result(response, request)
        answer = tfs.RegressionResponse(result=found.regression_result, model_spec=found.model_spec)
        return Answer(GrpcStatus.OK, answer.SerializeToString(), None)


class TfTaskCall(TfExamplesCall):
    """One task of several, which names its signature in words of its own when it is not there."""

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        if version.payload is PayloadKind.TENSORS and version.signature(self._signature_name) is None:
            text = f"Requested signature not found in model graph: {self._signature_name}"
            raise RequestError(Code.SIGNATURE_NOT_FOUND, text, fix="")
        return super().decode(exchange, version)


def open_tasks(body: bytes) -> Sequence[TfTaskCall]:
    """The predictions of a MultiInferenceRequest: each is made by itself. Raises RequestError(INVALID_INPUT)."""
    message = read(tfs.MultiInferenceRequest, body)
    if not message.tasks:
        raise invalid("Inference request must have at least one task.")
    calls: list[TfTaskCall] = []
    signatures: set[str] = set()
    for task in message.tasks:
        spec = task.model_spec
        if not spec.name:
            raise invalid("Found ModelSpec with an empty model name.")
        if spec.name != message.tasks[0].model_spec.name:
            raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        if spec.signature_name in signatures:
            raise invalid(f"Duplicate evaluation of signature: {spec.signature_name}")
        signatures.add(spec.signature_name)
        verb = METHODS.get(task.method_name)
        if verb is None:
            raise Unimplemented(f"Unsupported signature method_name: {task.method_name}")
        calls.append(TfTaskCall(address_of(spec, verb, is_there=True), spec.signature_name, message.input))
    return calls


def join_tasks(results: Sequence[bytes]) -> bytes:
    found = [tfs.InferenceResult.FromString(result) for result in results]
    return tfs.MultiInferenceResponse(results=found).SerializeToString()
