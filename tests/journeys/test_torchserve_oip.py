"""TorchServe's Open Inference service over gRPC: the same messages to the real TorchServe and to this server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from journey_originals import Ports, environment, original, write_archive
from journey_server import serving

from salver.wire.openinference.pb import inference_pb2 as pb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SERVICE = "/org.pytorch.serve.grpc.openinference.GRPCInferenceService"
HANDLER = """
import base64, json

def output(datatype, value):
    return {"name": datatype.lower(), "datatype": datatype, "shape": [1], "data": [value]}

VALUES = {"BOOL": True, "INT8": 1, "INT16": 1, "INT32": -1, "INT64": 2**40, "UINT8": 1, "UINT32": 4, "UINT64": 2**40,
          "FP32": 1.5, "FP64": 2.5, "BYTES": "abc"}

def answer(asked, context):
    first = asked["inputs"][0]
    word = base64.b64decode(first["data"][0]).decode() if first["datatype"] == "BYTES" else ""
    if word == "raise":
        raise ValueError("secret words")
    if word == "lacking":
        return {"nothing": 1}
    if word == "text":
        return "plain"
    if word == "nested":
        return {"id": "x", "model_name": "n", "model_version": "7", "outputs": [output("FP32", [1.0, 2.0])]}
    if word == "types":
        outputs = [output(datatype, value) for datatype, value in VALUES.items()]
        return {"id": "x", "model_name": "named", "model_version": "7", "outputs": outputs}
    told = json.dumps([asked["id"], asked["model_name"], asked["inputs"], context.get_request_header(0, "X-Told")],
                      sort_keys=True)
    return {"id": asked["id"], "model_name": asked["model_name"], "model_version": "1.0",
            "outputs": [output("BYTES", told)]}

def handle(data, context):
    return data and [answer(row["body"], context) for row in data]
"""
CONTENTS = {
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
    "INT64": "int64_contents",
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "UINT32": "uint_contents",
}


def asked(model: str = "told", version: str = "", id: str = "i1", **inputs: tuple[str, list[Any]]) -> Any:
    message = pb.ModelInferRequest(model_name=model, model_version=version, id=id)
    for name, (datatype, values) in inputs.items():
        tensor = message.inputs.add(name=name, datatype=datatype, shape=[len(values)])
        getattr(tensor.contents, CONTENTS[datatype]).extend(values)
    return message


def word(text: str) -> Any:
    return asked(x=("BYTES", [text.encode()]))


def about(method: str, model: str = "", version: str = "") -> tuple[str, Any]:
    return method, getattr(pb, f"{method}Request")(name=model, version=version)


SUBJECTS = (("told", ""), ("told", "1.0"), ("told", "9.0"), ("nobody", ""), ("idle", ""), ("", ""))
CALLS: list[tuple[str, Any]] = [
    ("ServerLive", pb.ServerLiveRequest()),
    ("ServerReady", pb.ServerReadyRequest()),
    *(about(method, *subject) for method in ("ModelReady", "ModelMetadata") for subject in SUBJECTS),
    ("ModelInfer", asked(x=("FP32", [1.5, 3.1]), y=("INT64", [2**40]), z=("BOOL", [True, False]))),
    ("ModelInfer", asked(x=("INT8", [-3]), y=("FP64", [3.1]), z=("UINT32", [7]))),
    ("ModelInfer", asked(version="1.0", id="", x=("BYTES", [b"word", b"\xff\x00"]))),
    ("ModelInfer", asked(version="9.0", x=("INT8", [5]))),
    ("ModelInfer", asked("nobody", x=("INT8", [5]))),
    ("ModelInfer", asked("", x=("INT8", [5]))),
    ("ModelInfer", asked("idle", x=("INT8", [5]))),
    ("ModelInfer", word("raise")),
    ("ModelInfer", word("types")),
]
DIFFERENT: list[tuple[str, Any, str, str]] = [
    ("ServerMetadata", pb.ServerMetadataRequest(), "name: ", "UNIMPLEMENTED"),
    ("ModelInfer", asked(x=("FP32", [float("nan")])), "holds NaN or an infinity", "UNKNOWN"),
    ("ModelInfer", asked(x=("UINT32", [4_000_000_000])), "4000000000", "-294967296"),
    ("ModelInfer", word("nested"), "fp32_contents: 1", "Worker died."),
    ("ModelInfer", word("lacking"), "no document of Open Inference", "Worker died."),
    ("ModelInfer", word("text"), "no document of Open Inference", "Worker died."),
]
"""What we answer, and what the original does, where it has no answer or a wrong one."""


def called(port: int, method: str, message: Any, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    """The answer as text, or the status and the description of an error."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            f"{SERVICE}/{method}",
            request_serializer=lambda given: given.SerializeToString(),
            response_deserializer=getattr(pb, f"{method}Response").FromString,
        )
        try:
            return _text(call(message, timeout=60, metadata=(("x-told", "yes"), *metadata), wait_for_ready=True))
        except grpc.RpcError as error:
            return f"{error.code()} {error.details()!r}"


def _text(message: Any) -> str:
    """As its bytes: what is unset and what is empty differ there. The text of a handler is parsed, to be in order."""
    first = message.outputs[0].contents.bytes_contents if getattr(message, "outputs", ()) else ()
    if first and first[0].startswith(b'"['):
        return f"{message.model_name} {message.model_version} {message.id} {json.loads(json.loads(first[0]))}"
    return f"{message} {message.SerializeToString()!r}"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    write_archive(folder / "told.mar", "told", "1.0", HANDLER)
    write_archive(folder / "told-two.mar", "told", "2.0", HANDLER)
    return folder


def register(management: str, header: dict[str, str]) -> None:
    for parameters in ("told.mar&initial_workers=1", "told-two.mar&initial_workers=1", "told.mar&model_name=idle"):
        requests.post(f"{management}/models?url={parameters}", headers=header, timeout=90).raise_for_status()


@pytest.fixture(scope="module")
def ours(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, tuple[tuple[str, str], ...]]]:
    doors = ",".join(f"{name}@127.0.0.1:0" for name in ("native", "torchserve-management", "torchserve-grpc"))
    with serving(
        folder=tmp_path_factory.mktemp("ours"),
        wait="announced",
        doors=doors,
        model_store=store,
        ts_open_inference_protocol=True,
    ) as server:
        register(server.urls[1], server.admin)
        yield int(server.urls[2].rpartition(":")[2]), tuple((k.lower(), v) for k, v in server.admin.items())


@pytest.fixture(scope="module")
def theirs(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("theirs")
    options = {"disable_token_authorization": "true", "enable_model_api": "true", "TS_OPEN_INFERENCE_PROTOCOL": "oip"}
    commands = environment("torchserve", folder / "environment")
    with original("torchserve", commands, folder, store, **options) as ports:
        register(f"http://127.0.0.1:{ports.management}", {})
        yield ports


def test_torchserve_answers_open_inference_over_grpc_as_we_do(
    ours: tuple[int, tuple[tuple[str, str], ...]], theirs: Ports
) -> None:
    port, metadata = ours
    wrong = []
    for method, message in CALLS:
        our, their = called(port, method, message, metadata), called(theirs.grpc_inference, method, message)
        if our != their:
            wrong.append(f"{method} {message!r}: {our}, they: {their}")
    assert wrong == [], "\n".join(wrong)


def test_what_the_original_cannot_answer_is_answered_or_told(
    ours: tuple[int, tuple[tuple[str, str], ...]], theirs: Ports
) -> None:
    port, metadata = ours
    for method, message, our, their in DIFFERENT:
        assert our in called(port, method, message, metadata)
        assert their in called(theirs.grpc_inference, method, message)
