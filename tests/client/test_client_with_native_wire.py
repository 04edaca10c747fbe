"""Client and wire read each other: the client before the native wire itself, with a model that is a function."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from salver.errors import Code, RequestError, SalverError
from salver.operations import access, server
from salver.operations.base import Answer, Call, Credentials, Request
from salver.store.base import AuditLine, KeyRecord
from salver.types import (
    Array,
    BatchSettings,
    BodyResult,
    InferRequest,
    InferResponse,
    ModelStatus,
    ModelVersion,
    PayloadKind,
    Ranking,
    Signature,
    TensorSpec,
    VersionInfo,
    VersionState,
    VersionStatus,
    as_array,
)
from salver.wire.native import NativeWire
from salver_client import SalverClientError

Open = Callable[..., Any]
Model = Callable[[dict[str, Array]], dict[str, Array]]


def version(inputs: dict[str, tuple[str, tuple[int, ...]]], **changes: Any) -> VersionInfo:
    specs = tuple(TensorSpec(name=name, datatype=datatype, shape=shape) for name, (datatype, shape) in inputs.items())
    fields: dict[str, Any] = {
        "id": ModelVersion("m", 2),
        "runtime": "function",
        "payload": PayloadKind.TENSORS,
        "signatures": {"serving_default": Signature(inputs=specs, outputs=())},
        "batching": BatchSettings(),
        "has_batch_dimension": True,
        "is_idempotent": True,
    }
    return VersionInfo(**(fields | changes))


class Exchange:
    """A prediction as httpx sent it."""

    def __init__(self, request: httpx.Request) -> None:
        self.method = request.method.encode()
        self.target = request.url.raw_path
        self.headers = request.headers.raw
        self.body = request.content
        self.credentials = Credentials(None, "127.0.0.1", is_loopback=True)

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def respond(self, answer: Answer) -> None: ...


class Server:
    """The native wire with one model, and fixed results for every other operation."""

    def __init__(self, info: VersionInfo, model: Model, results: dict[str, Any] | None = None) -> None:
        self._wire = NativeWire()
        self._info = info
        self._model = model
        self._results = results or {}

    def __call__(self, sent: httpx.Request) -> httpx.Response:
        answer = self._predict(sent) or self._run(sent)
        headers = [*answer.headers, ("Content-Type", answer.content_type or "")]
        return httpx.Response(answer.status, content=answer.body, headers=headers)

    def _predict(self, sent: httpx.Request) -> Answer | None:
        route = self._wire.predict_route(sent.method.encode(), sent.url.raw_path)
        if route is None:
            return None
        call = Call.__new__(Call)
        call.request_id = "r-1"
        try:
            request = route.decode(Exchange(sent), self._info)
            return route.encode(self._respond(request), request, call)
        except SalverError as error:
            return route.error(error, call)

    def _respond(self, request: InferRequest) -> InferResponse:
        if request.inputs is None:
            assert request.body is not None
            (part,) = request.body.parts
            return InferResponse(self._info, None, BodyResult(bytes(part.data)[::-1], "text/x-reversed"))
        return InferResponse(
            self._info, self._model({name: as_array(tensor) for name, tensor in request.inputs.items()})
        )

    def _run(self, sent: httpx.Request) -> Answer:
        request = Request(
            method=sent.method,
            path=sent.url.path,
            raw_path=sent.url.path,
            query=tuple(sent.url.params.multi_items()),
            headers=tuple(sent.headers.multi_items()),
            body=sent.content,
            request_id="r-2",
        )
        for route in self._wire.routes:
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
            match = re.fullmatch(pattern, request.path)
            if match is not None and request.method in route.methods:
                request = Request(
                    **{name: getattr(request, name) for name in Request.__struct_fields__}
                    | {"path_params": match.groupdict()}
                )
                try:
                    route.read(request)
                    return route.write(self._results[route.operation], request)
                except SalverError as error:
                    return self._wire.error(error, request)
        return self._wire.unmatched(request)


def double(inputs: dict[str, Array]) -> dict[str, Array]:
    return {name: array * 2 for name, array in inputs.items()}


def lengths(inputs: dict[str, Array]) -> dict[str, Array]:
    return {name: np.array([len(element) for element in array.ravel()]) for name, array in inputs.items()}


def never(_: dict[str, Array]) -> dict[str, Array]:
    raise RequestError(Code.MODEL_ERROR, "The model failed.")


@pytest.mark.parametrize(
    ("inputs", "understood"),
    [
        ({"x": [[1, 2], [3, 4.5]]}, "inputs"),
        ([[1, 2], [3, 4.5]], "inputs"),
        (np.array([[1, 2], [3, 4.5]]), "npy"),
        (np.array([[1, 2], [3, 4.5]], "f4").tobytes(), "raw"),
        ({"x": np.array([[1, 2], [3, 4.5]], "f4")}, "form"),
        ("1,2\n3,4.5\n", "text"),
    ],
)
def test_every_kind_of_input_arrives(session: Open, inputs: Any, understood: str) -> None:
    opened = session(Server(version({"x": ("FP32", (-1, 2))}), double))

    prediction = opened.predict("m", inputs)

    assert prediction.outputs == {"x": [[2.0, 4.0], [6.0, 9.0]]}
    assert (prediction.model, prediction.version) == ("m", 2)
    assert (prediction.understood, prediction.request_id) == (understood, "r-1")


def test_inputs_of_several_kinds_arrive_together(session: Open) -> None:
    info = version({"image": ("BYTES", (-1,)), "text": ("BYTES", (-1,))})

    prediction = session(Server(info, lengths)).predict("m", {"image": b"\x89PNG\r\n\x1a\n1234", "text": ["abc"]})

    assert prediction.outputs == {"image": [12], "text": [3]}


@pytest.mark.parametrize("inputs", [b"\xff\xd8\xff1", ["four"], "four"])
def test_bytes_and_texts_arrive(session: Open, inputs: Any) -> None:
    assert session(Server(version({"x": ("BYTES", (-1,))}), lengths)).predict("m", inputs).output() == [4]


def test_rankings_arrive(session: Open) -> None:
    signature = Signature(
        inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1,)),),
        outputs=(),
        ranking=Ranking(classes="label", probabilities="p"),
    )
    labels = np.array([[b"cat"]], object)
    info = version({}, signatures={"serving_default": signature})

    prediction = session(Server(info, lambda _: {"label": labels, "p": np.array([[0.5]])})).predict("m", [1])

    assert [(entry.label, entry.probability) for entry in prediction.ranking[0]] == [("cat", 0.5)]


def test_bodies_arrive_and_come_back(session: Open) -> None:
    info = version({}, payload=PayloadKind.BODY)

    prediction = session(Server(info, never)).predict("m", b"abc", version=2)

    assert (prediction.body, prediction.content_type, prediction.version) == (b"cba", "text/x-reversed", 2)


def test_errors_arrive(session: Open) -> None:
    opened = session(Server(version({"x": ("FP32", (-1,))}), never))

    with pytest.raises(SalverClientError, match="The model failed") as failed:
        opened.predict("m", [1])
    with pytest.raises(SalverClientError) as refused:
        opened.predict("m", ["a"])
    assert (failed.value.code, failed.value.status, failed.value.request_id) == ("MODEL_ERROR", 500, "r-1")
    assert refused.value.code == "INVALID_INPUT"
    assert refused.value.fix


def test_the_state_of_models_arrives(session: Open) -> None:
    info = version({"x": ("FP32", (-1,))})
    status = VersionStatus(
        id=info.id,
        state=VersionState.READY,
        runtime="function",
        source="m.py",
        environment="",
        replicas_wanted=1,
        info=info,
    )
    model = ModelStatus(name="m", versions=(status,), default_version=2, labels={})
    opened = session(Server(info, double, {"models.list": (model,), "models.get": model}))

    (listed,) = opened.models()
    full = opened.model("m")

    assert listed.versions[0].state == "READY"
    assert full.versions[0].signatures["serving_default"].inputs[0].datatype == "FP32"


def test_keys_audit_health_and_metrics_arrive(session: Open) -> None:
    record = KeyRecord(
        id="k", label="a", role="b", models=(), digest=b"", created_at=1.5, created_by="c", requests_per_second=2.0
    )
    line = AuditLine(
        sequence=1,
        at=0.0,
        principal="p",
        operation="o",
        scope="",
        decision="allowed",
        outcome="OK",
        request_id="",
        peer="",
        detail="",
        digest="",
    )
    results = {
        "keys.create": access.CreatedKey(key="secret", record=record),
        "keys.list": (record,),
        "keys.revoke": record,
        "audit.read": (line,),
        "server.ready": server.HealthReport(is_live=True, is_ready=False, reasons=("m is FAILED",)),
        "server.metrics": b"up 1\n",
    }
    opened = session(Server(version({}), double, results))

    created = opened.create_key("a", "b", models=["m"])

    assert (created.key, created.record) == ("secret", opened.revoke_key("k"))
    assert opened.keys() == (created.record,)
    assert created.record.created_at.timestamp() == 1.5
    assert opened.audit()[0].sequence == 1
    assert opened.readiness().reasons == ("m is FAILED",)
    assert opened.metrics() == "up 1\n"
