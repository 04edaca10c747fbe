"""The same calls to the real MLServer and to this server's `mlserver`, over REST and gRPC, compared field by field.

Each difference that is on purpose stands in the table of calls with its reason; one that is not there fails the test,
and so does one that is there and is none any more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
import requests
from google.protobuf import json_format
from journey_mlserver import environment, mlserver, write_models
from journey_originals import Call, Ports, ask, differences
from journey_server import serving

from salver.wire.openinference.pb import inference_pb2 as pb

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SERVER = "every server has its own name, version and extensions"
TOLD = "what a model takes and gives is known here; MLServer tells what its settings say"
FAULT = "a caller's mistake is 400 with a text; MLServer's own code fails, and says nothing of why"
TEXT = "the text names the input, what came and what is expected"
PARSER = "the parser's own words"
NO_VERSION = "a version that was not named is not told; MLServer leaves a gap"
STATE = "the state is the protocol's word; MLServer writes its code's, as in State.READY"
ONCE = "to unload what is unloaded changes nothing, and is no mistake"
BASE64 = {
    "status": "base64 is taken back to bytes for every model; MLServer's string codec cannot",
    "body": "base64 is taken back to bytes for every model; MLServer's string codec cannot",
}
VERSION = "versions are digits, and another text is an invalid argument"
READY = "an unknown model is not ready, over gRPC, as Triton says; MLServer lets its exception out"
IGNORED = re.compile(r"^(headers|closes|phrase|type)$|\.id$")
"""Headers of cloud events, and ids that are made up."""

INFER, WORDS = "/v2/models/iris/infer", "/v2/models/words/infer"
EIGHT = [1, 2, 3, 4, 5, 6, 7, 8]


def tensor(
    name: str = "predict", shape: Any = (2, 4), datatype: str = "FP32", data: Any = EIGHT, **parameters: Any
) -> dict[str, Any]:
    item = {"name": name, "shape": shape, "datatype": datatype, "data": data}
    return item | ({"parameters": parameters} if parameters else {})


def text(data: Any, shape: Any = (2,), **parameters: Any) -> dict[str, Any]:
    return tensor("text", shape, "BYTES", data, **parameters)


def get(target: str, /, **differs: str) -> Call:
    return Call(target, "GET", target, differs=dotted(differs))


def post(name: str, target: str, body: Any = b"", /, **differs: str) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Call(name, "POST", target, raw, {"Content-Type": "application/json"} if raw else {}, False, dotted(differs))


def infer(name: str, *inputs: Any, target: str = INFER, differs: dict[str, str] | None = None, **request: Any) -> Call:
    return post(name, target, {**request, "inputs": inputs}, **(differs or {}))


def dotted(differs: dict[str, str]) -> dict[str, str]:
    """`_error` for the path `.error`, which is no Python name."""
    return {re.sub("^_", ".", path): reason for path, reason in differs.items()}


def fault(path: str = "body") -> dict[str, str]:
    return {"status": FAULT, path: FAULT}


REST = [
    get("/v2", _name=SERVER, _version=SERVER, _extensions=SERVER),
    get("/v2/health/live"),
    get("/v2/health/ready"),
    get("/v2/models/iris", _versions=TOLD, _platform=TOLD, _inputs=TOLD, _outputs=TOLD),
    get("/v2/models/iris/versions/1", _versions=TOLD, _platform=TOLD, _inputs=TOLD, _outputs=TOLD),
    get("/v2/models/iris/ready"),
    get("/v2/models/iris/versions/1/ready"),
    get("/v2/models/iris/versions/9/ready"),
    get("/v2/models/iris/versions/9"),
    get("/v2/models/nobody"),
    get("/v2/models/nobody/ready"),
    get("/v2/models/iris/versions/one/ready"),
    get("/v2/models/iris/config"),
    get("/v2/nothing"),
    get(INFER),
    infer("an input of another name and datatype", tensor()),
    infer("with an id", tensor(), id="a"),
    infer("nested", tensor(data=[EIGHT[:4], EIGHT[4:]])),
    infer("FP64", tensor(datatype="FP64")),
    infer("INT32", tensor(datatype="INT32")),
    infer("UINT8", tensor(datatype="UINT8")),
    infer("BOOL", tensor(datatype="BOOL", data=[True, False] * 4)),
    infer("headers", tensor(), parameters={"headers": {"a": "b"}, "content_type": None}),
    infer("with its version", tensor(), target="/v2/models/iris/versions/1/infer"),
    infer("one output", tensor(), outputs=[{"name": "predict"}]),
    infer("the other output", tensor(), outputs=[{"name": "predict_proba"}]),
    infer("both outputs", tensor(), outputs=[{"name": "predict"}, {"name": "predict_proba"}]),
    infer("an unknown output", tensor(), outputs=[{"name": "nobody"}], differs={"_error": TEXT}),
    infer("np for the request", tensor(), parameters={"content_type": "np"}),
    infer("np for the input", tensor(content_type="np")),
    infer("pd", *(tensor(name, [2], "FP32", [1, 2]) for name in "abcd"), parameters={"content_type": "pd"}),
    infer("generate", tensor(), target="/v2/models/iris/generate"),
    infer("more values than the shape", tensor(shape=[2, 3]), differs=fault()),
    infer("fewer columns", tensor(shape=[2, 3], data=EIGHT[:6]), differs=fault()),
    infer("no rows", tensor(shape=[4], data=EIGHT[:4]), differs=fault()),
    infer("text for numbers", tensor(data=["a"] * 8), differs=fault()),
    infer("an unknown datatype", tensor(datatype="NONE")),
    infer("no inputs"),
    infer("two inputs", tensor(), tensor(name="other")),
    infer("an input without anything", {"name": "x"}),
    infer("an input that is none", 1),
    infer("an unknown version", tensor(), target="/v2/models/iris/versions/9/infer"),
    infer("a version that is no number", tensor(), target="/v2/models/iris/versions/a/infer"),
    infer("an unknown model", tensor(), target="/v2/models/nobody/infer"),
    post("cut off", INFER, b"{", **{"_detail[0].ctx.error": PARSER}),
    post("NaN", INFER, b'{"inputs": [NaN]}', **{"_detail[0].ctx.error": PARSER}),
    post("no body", INFER),
    post("a list", INFER, []),
    post("no inputs at all", INFER, {}),
    post("inputs that are no list", INFER, {"inputs": 1}),
    infer("words", text(["a", "b"]), target=WORDS),
    infer("a column of words", text(["a", "b"], (2, 1)), target=WORDS),
    infer("umlauts", text(["ä", "ü"]), target=WORDS),
    infer("a single text", text("abc", (1,)), target=WORDS),
    infer("str for the input", text(["a", "b"], content_type="str"), target=WORDS),
    infer("str for the request", text(["a", "b"]), target=WORDS, parameters={"content_type": "str"}),
    infer("base64", text(["YWI="], (1,), content_type="base64"), target=WORDS, differs=BASE64),
    infer("own parameters", text(["a", "b"]), target=WORDS, parameters={"own": 1}),
]
REPOSITORY = [
    post("index", "/v2/repository/index", {}),
    post("index without a body", "/v2/repository/index"),
    post("what is ready", "/v2/repository/index", {"ready": True}),
    post("unload", "/v2/repository/models/iris/unload"),
    get("/v2/models/iris/ready"),
    infer("unloaded", tensor()),
    post("index with one unloaded", "/v2/repository/index", {}),
    post("unload again", "/v2/repository/models/iris/unload", status=ONCE, body=ONCE),
    post("load", "/v2/repository/models/iris/load"),
    infer("loaded again", tensor()),
    post("load nobody", "/v2/repository/models/nobody/load"),
    post("unload nobody", "/v2/repository/models/nobody/unload"),
]


class Pair(NamedTuple):
    ours: Ports
    theirs: Ports
    key: dict[str, str]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("mlserver")
    commands = environment(folder / "environment")
    theirs, ours = write_models(folder / "models")
    names = ("native", "mlserver", "mlserver-metrics", "mlserver-grpc")
    doors = ",".join(f"{name}@127.0.0.1:0" for name in names)
    with (
        serving(ours / "iris", ours / "words", folder=folder, doors=doors) as server,
        mlserver(commands, theirs, folder / "original") as ports,
    ):
        http, metrics, rpc = (int(url.rpartition(":")[2]) for url in server.urls[1:4])
        yield Pair(Ports(http, http, metrics, rpc, rpc), ports, server.admin)


def by_name(document: Any) -> Any:
    """Lists of models have no order that means something."""
    is_index = isinstance(document, list) and all(isinstance(entry, dict) and "state" in entry for entry in document)
    return sorted(document, key=lambda entry: entry["name"]) if is_index else document


@pytest.mark.parametrize("calls", [REST, REPOSITORY], ids=["prediction", "repository"])
def test_mlserver_answers_over_rest_as_we_do(both: Pair, calls: list[Call]) -> None:
    wrong = []
    for call in calls:
        their = ask(both.theirs, call)
        our = ask(both.ours, call._replace(headers={**call.headers, **both.key}))
        our, their = (each._replace(document=by_name(each.document)) for each in (our, their))
        found = differences(our, their, ignored=lambda path: bool(IGNORED.search(path)))
        for path in sorted(found.keys() ^ call.differs.keys()):
            pair = found.get(path)
            wrong.append(f"{call.name}: {path}: " + ("the same" if pair is None else f"{pair[0]!r}, they: {pair[1]!r}"))
    assert wrong == [], "\n".join(wrong)


# gRPC


class Rpc(NamedTuple):
    """One call. A reason says why the answers are not the same."""

    name: str
    method: str
    request: Any
    differs: str = ""


def message(*inputs: Any, raw: tuple[bytes, ...] = (), model: str = "iris", **more: Any) -> Any:
    return pb.ModelInferRequest(model_name=model, inputs=inputs, raw_input_contents=raw, **more)


def given(name: str, shape: tuple[int, ...], datatype: str, **contents: Any) -> Any:
    return pb.ModelInferRequest.InferInputTensor(name=name, shape=shape, datatype=datatype, contents=contents or None)


FP32 = given("predict", (2, 4), "FP32", fp32_contents=EIGHT)
RAW = np.array(EIGHT, "<f4").tobytes()
ASKED = pb.ModelInferRequest.InferRequestedOutputTensor
RPCS = [
    Rpc("live", "ServerLive", pb.ServerLiveRequest()),
    Rpc("ready", "ServerReady", pb.ServerReadyRequest()),
    Rpc("server", "ServerMetadata", pb.ServerMetadataRequest(), SERVER),
    Rpc("model ready", "ModelReady", pb.ModelReadyRequest(name="iris")),
    Rpc("nobody ready", "ModelReady", pb.ModelReadyRequest(name="nobody"), READY),
    Rpc("model", "ModelMetadata", pb.ModelMetadataRequest(name="words"), TOLD),
    Rpc("nobody", "ModelMetadata", pb.ModelMetadataRequest(name="nobody"), NO_VERSION),
    Rpc("no such version", "ModelMetadata", pb.ModelMetadataRequest(name="iris", version="9")),
    Rpc("typed", "ModelInfer", message(FP32)),
    Rpc("raw", "ModelInfer", message(given("predict", (2, 4), "FP32"), raw=(RAW,))),
    Rpc("FP64", "ModelInfer", message(given("x", (2, 4), "FP64", fp64_contents=EIGHT))),
    Rpc("INT64", "ModelInfer", message(given("x", (2, 4), "INT64", int64_contents=EIGHT))),
    Rpc("with an id", "ModelInfer", message(FP32, id="a")),
    Rpc("both outputs", "ModelInfer", message(FP32, outputs=[ASKED(name="predict"), ASKED(name="predict_proba")])),
    Rpc("an unknown output", "ModelInfer", message(FP32, outputs=[ASKED(name="nobody")]), TEXT),
    Rpc("too few values", "ModelInfer", message(given("x", (2, 4), "FP32", fp32_contents=[1])), FAULT),
    Rpc("two inputs", "ModelInfer", message(FP32, FP32)),
    Rpc("an unknown model", "ModelInfer", message(FP32, model="nobody"), NO_VERSION),
    Rpc("an unknown version", "ModelInfer", message(FP32, model_version="9")),
    Rpc("a version that is no number", "ModelInfer", message(FP32, model_version="a"), VERSION),
    Rpc("words", "ModelInfer", message(given("text", (2,), "BYTES", bytes_contents=[b"a", b"b"]), model="words")),
    Rpc("raw words", "ModelInfer", message(given("text", (1,), "BYTES"), raw=(b"\1\0\0\0a",), model="words")),
    Rpc("a stream", "ModelStreamInfer", message(FP32, id="a")),
    Rpc("index", "RepositoryIndex", pb.RepositoryIndexRequest(), STATE),
    Rpc("unload", "RepositoryModelUnload", pb.RepositoryModelUnloadRequest(model_name="iris")),
    Rpc("load", "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="iris")),
    Rpc("load nobody", "RepositoryModelLoad", pb.RepositoryModelLoadRequest(model_name="nobody")),
]


def called(port: int, rpc: Rpc, metadata: list[tuple[str, str]]) -> str:
    """The answer as text, or the status and the description of an error."""
    kind = pb.ModelInferResponse if rpc.method == "ModelStreamInfer" else getattr(pb, rpc.method + "Response")
    path = f"/inference.GRPCInferenceService/{rpc.method}"
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        is_stream = rpc.method == "ModelStreamInfer"
        connect = channel.stream_stream if is_stream else channel.unary_unary
        call = connect(path, lambda given: given.SerializeToString(), kind.FromString)
        try:
            if is_stream:
                (answer,) = call(iter([rpc.request]), timeout=60, metadata=metadata, wait_for_ready=True)
            else:
                answer = call(rpc.request, timeout=60, metadata=metadata, wait_for_ready=True)
        except grpc.RpcError as error:
            return f"{error.code()} {error.details()!r}"
    document = json_format.MessageToDict(answer, preserving_proto_field_name=True)
    document.get("models", []).sort(key=lambda entry: entry["name"])
    return json.dumps(document, sort_keys=True)


def test_mlserver_answers_over_grpc_as_we_do(both: Pair) -> None:
    metadata = [(name.lower(), value) for name, value in both.key.items()]
    wrong = []
    for rpc in RPCS:
        their = called(both.theirs.grpc_inference, rpc, [])
        our = called(both.ours.grpc_inference, rpc, metadata)
        if (our != their) != bool(rpc.differs):
            wrong.append(f"{rpc.name}: {our}, they: {their}")
    assert wrong == [], "\n".join(wrong)


def events(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers if name.lower().startswith("ce-")}


def test_answers_are_cloud_events_as_the_originals(both: Pair) -> None:
    metadata = [(name.lower(), value) for name, value in both.key.items()]
    told = []
    for ports, key in ((both.theirs, {}), (both.ours, both.key)):
        found = [
            requests.post(f"http://127.0.0.1:{ports.inference}{INFER}", json=body, headers=key, timeout=60)
            for body in ({"id": "a", "inputs": [tensor()]}, {"id": "a", "inputs": []})
        ]
        told.append([events(answer.headers.items()) for answer in found])
        with grpc.insecure_channel(f"127.0.0.1:{ports.grpc_inference}") as channel:
            ask_for = channel.unary_unary(
                "/inference.GRPCInferenceService/ModelInfer",
                lambda given: given.SerializeToString(),
                pb.ModelInferResponse.FromString,
            )
            for request in (message(FP32, id="b"), message(FP32)):
                _, call = ask_for.with_call(request, timeout=60, metadata=metadata if key else [])
                told[-1].append(events(call.trailing_metadata()))
    theirs, ours = told
    own = {"ce-source": "io.seldon.serving.deployment.salver", "ce-inferenceservicename": "salver"}
    assert ours == [event | own if event else event for event in theirs]
    assert ours[0]["ce-id"] == "a"


def test_metrics_of_models_have_the_originals_names(both: Pair) -> None:
    families = []
    for ports, key in ((both.theirs, {}), (both.ours, both.key)):
        requests.post(
            f"http://127.0.0.1:{ports.inference}{INFER}", json={"inputs": [tensor()]}, headers=key, timeout=60
        )
        page = requests.get(f"http://127.0.0.1:{ports.metrics}/metrics", headers=key, timeout=60)
        kinds = (line.split()[2:] for line in page.text.splitlines() if line.startswith("# TYPE model_infer"))
        families.append({name: kind for name, kind in kinds if not name.endswith("_created")})
        assert page.status_code == 200
        assert requests.get(f"http://127.0.0.1:{ports.metrics}/nothing", headers=key, timeout=60).status_code == 404
    assert families[0] == families[1]
