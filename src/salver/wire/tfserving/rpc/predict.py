"""`PredictionService/Predict`: named tensors in, named tensors out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from salver.errors import Code, SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.operations.methods import GrpcStatus
from salver.types import DEFAULT_SIGNATURE, InferRequest, InferResponse, PayloadKind, Signature, Tensor, VersionInfo
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.datatypes import TEXT_NAMES
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.request import TfRequest, tensors_request
from salver.wire.tfserving.rpc.bodies import BODY_OUTPUT, body_of, check_result, result_proto
from salver.wire.tfserving.rpc.dtypes import BY_NUMBER, type_text
from salver.wire.tfserving.rpc.failures import FailedPrecondition, failure
from salver.wire.tfserving.rpc.messages import address_of, answering_spec, read
from salver.wire.tfserving.rpc.tensors import proto_of, tensor_of


class TfPredictCall:
    """One call: it keeps the message, which is read before it is known which version answers."""

    wire = "tfserving"
    operation = "models.predict"

    def __init__(self, body: bytes, max_body_bytes: int) -> None:
        """Raises RequestError(INVALID_INPUT)."""
        message = self._message = read(tfs.PredictRequest, body)
        spec = message.model_spec
        self._address: Address = address_of(spec, Verb.PREDICT, is_there=message.HasField("model_spec"))
        self._signature_name = spec.signature_name
        self._max_body_bytes = max_body_bytes
        self.model = self._address.model
        self.version = self._address.version
        self.label = self._address.label

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | PAYLOAD_TOO_LARGE)."""
        message = self._message
        name = self._signature_name or DEFAULT_SIGNATURE
        if version.payload is PayloadKind.BODY:
            check_filter(message.output_filter, {BODY_OUTPUT})
            body = body_of(message.inputs, self._max_body_bytes)
            return TfRequest(version, name, None, body, 1, (name, "body"))
        signature = version.signature(name)
        if signature is None:
            raise FailedPrecondition(Code.SIGNATURE_NOT_FOUND, f'Serving signature key "{name}" not found.', fix="")
        check_names(message.inputs, [spec.name for spec in signature.inputs])
        check_filter(message.output_filter, {spec.name for spec in signature.outputs})
        tensors = {
            spec.name: self._tensor(spec.name, spec.datatype, spec.shape, index)
            for index, spec in enumerate(signature.inputs)
        }
        return tensors_request(version, name, signature, tensors, is_row=True)

    def _tensor(self, name: str, datatype: str, declared: Sequence[int], index: int) -> Tensor:
        proto = self._message.inputs[name]
        kind = BY_NUMBER.get(proto.dtype)
        if kind is None or kind.datatype != datatype:
            raise invalid(f"Expects arg[{index}] to be {TEXT_NAMES[datatype]} but {type_text(proto.dtype)} is provided")
        return with_column(tensor_of(name, proto, self._max_body_bytes), declared)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError for what the model's code answered as an error."""
        message = tfs.PredictResponse(model_spec=answering_spec(response.version, request.signature_name))
        if response.outputs is None:
            assert response.body is not None
            check_result(response.body)
            message.outputs[BODY_OUTPUT].CopyFrom(result_proto(response.body))
        else:
            wanted = set(self._message.output_filter) or response.outputs.keys()
            datatypes = declared_outputs(response.version.signature(request.signature_name))
            for name in response.outputs.keys() & wanted:
                message.outputs[name].CopyFrom(proto_of(response.outputs[name], datatypes[name]))
        return Answer(GrpcStatus.OK, message.SerializeToString(), None)

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return failure(error, self._address, call)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each call is taken by itself."""


def declared_outputs(signature: Signature | None) -> dict[str, str]:
    """The datatype of each output."""
    assert signature is not None
    return {spec.name: spec.datatype for spec in signature.outputs}


def with_column(tensor: Tensor, declared: Sequence[int]) -> Tensor:
    """One value per row fits a declared `[n, 1]` too, as over REST."""
    shape = tensor.shape
    if len(shape) == 1 and len(declared) == 2 and declared[1] == 1 and declared[0] in (-1, shape[0]):
        return Tensor(tensor.datatype, (*shape, 1), tensor.data)
    return tensor


def check_names(sent: Collection[str], declared: Sequence[str]) -> None:
    """Raises RequestError(INVALID_INPUT) unless exactly the declared inputs were sent."""
    if len(sent) != len(declared):
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(declared)} len({_set(sent)}) != "
            f"len({_set(declared)}). Sent extra: {_set(set(sent) - set(declared))}. "
            f"Missing but required: {_set(set(declared) - set(sent))}."
        )
    for name in sorted(sent):
        if name not in declared:
            raise invalid(
                f"input tensor alias not found in signature: {name}. Inputs expected to be in the set {_set(declared)}."
            )


def check_filter(names: Sequence[str], declared: Collection[str]) -> None:
    """Raises RequestError(INVALID_INPUT) for outputs that there are not, or that are asked for twice."""
    seen: set[str] = set()
    for name in names:
        if name not in declared:
            known = _set(declared)
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in the set {known}."
            )
        if name in seen:
            raise invalid(f"duplicate output tensor alias: {name}")
        seen.add(name)


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
