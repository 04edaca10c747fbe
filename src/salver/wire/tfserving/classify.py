"""`:classify` and `:regress`: examples in, classes or numbers out."""

from __future__ import annotations

from salver.errors import SalverError
from salver.operations.base import Answer, AnsweredCall, Exchange
from salver.types import InferRequest, InferResponse, VersionInfo
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.classes import class_columns
from salver.wire.tfserving.errors import Headers
from salver.wire.tfserving.examples import decode_examples
from salver.wire.tfserving.lane import json_body, lane_error
from salver.wire.tfserving.request import TfRequest
from salver.wire.tfserving.results import encode_classes, encode_numbers


class TfExamplesRoute:
    """One of the two calls that take examples. The features of an example are the inputs of the signature, by name."""

    wire = "tfserving"
    operation = "models.predict"

    def __init__(self, address: Address, max_body_bytes: int, headers: Headers) -> None:
        self.model = address.model
        self.version = address.version
        self.label = address.label
        self._address = address
        self._max_body_bytes = max_body_bytes
        self._headers = headers

    def decode(self, exchange: Exchange, version: VersionInfo) -> TfRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | PAYLOAD_TOO_LARGE | UNSUPPORTED_MEDIA_TYPE)."""
        return decode_examples(json_body(exchange, self._max_body_bytes), version, self._address.verb)

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Only requests whose signature suits the call were decoded, so its outputs are there."""
        signature = request.version.signature(request.signature_name)
        assert signature is not None
        assert response.outputs is not None
        if self._address.verb is Verb.REGRESS:
            (array,) = response.outputs.values()
            return Answer(200, encode_numbers(array), headers=self._headers)
        columns = class_columns(signature)
        assert columns is not None
        return Answer(200, encode_classes(response.outputs, columns), headers=self._headers)

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> None:
        """Each request is taken by itself."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        return lane_error(error, self._address, self._headers, call)
