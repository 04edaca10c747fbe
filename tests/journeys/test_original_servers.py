"""The same calls to the real Multi Model Server and TorchServe and to this server, answers compared part by part.

Each difference that is on purpose stands in the table of calls with its reason; one that is not there fails the test,
and so does one that is there and is none any more.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import empty_pb2
from journey_originals import Call, Ports, ask, differences, environment, original, write_store
from journey_server import serving

from salver.wire.torchserve.pb import inference_pb2, management_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

VARYING = re.compile(r"\.(pid|startTime|memoryUsage|id|gpuUsage)$")
"""Parts of a document that are never the same twice."""
NO_HEADERS: dict[str, str] = {}
JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain; charset=utf-8"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MULTIPART = {"Content-Type": "multipart/form-data; boundary=xyz"}
PARTS = (
    b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\nContent-Type: text/plain\r\n\r\nfile\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="j"; filename="j"\r\nContent-Type: application/json\r\n\r\n[1]\r\n'
    b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\ntwo\r\n--xyz--\r\n'
)


def manage(name: str, method: str, target: str, body: bytes = b"", headers: Any = NO_HEADERS, **differs: str) -> Call:
    return Call(name, method, target, body, headers, True, differs)


def infer(
    name: str, target: str, body: bytes = b"", headers: Any = NO_HEADERS, method: str = "POST", **differs: str
) -> Call:
    return Call(name, method, target, body, headers, False, differs)


def coded(name: str, **asked: Any) -> Call:
    return infer(f"handler: {name}", "/predictions/coded", json.dumps(asked).encode(), JSON)


INFERENCE = [
    infer("ping", "/ping", method="GET"),
    infer("raw body", "/predictions/echo", b"abc", {"Content-Type": "application/octet-stream"}),
    infer("no type", "/predictions/echo", b"abc"),
    infer("empty", "/predictions/echo"),
    infer("text", "/predictions/echo", b"abc", TEXT),
    infer("json", "/predictions/echo", b'{"a": [1, 2.5, null]}', JSON),
    infer("json with charset", "/predictions/echo", b"[1]", {"Content-Type": "application/json; charset=utf-8"}),
    infer("form", "/predictions/echo", b"a=1&b=two%20words&a=3", FORM),
    infer("multipart", "/predictions/echo", PARTS, MULTIPART),
    infer("query is ignored", "/predictions/echo?a=1", b"abc"),
    infer("get", "/predictions/echo", method="GET"),
    infer("put", "/predictions/echo", b"abc", method="PUT"),
    infer("invocations", "/invocations?model_name=echo&a=1", b"abc"),
    infer("invocations without a name", "/invocations", b"abc"),
    infer("invoke", "/models/echo/invoke?a=1", b"abc"),
    infer("0.4", "/echo/predict?a=1", b"abc"),
    infer("unknown model", "/predictions/nobody", b"abc"),
    infer("unknown address", "/nothing/here"),
    infer("post at the root", "/"),
    coded("a text", answer="text"),
    coded("bytes", answer="bytes"),
    coded("an object", answer="list"),
    coded("numbers", answer="numbers"),
    coded("no list", answer="none"),
    coded("an object for a list", answer="object"),
    coded("two for one", answer="two"),
    coded("what JSON has not", answer="unserializable"),
    coded("an exception", **{"raise": "secret words"}),
    coded("CUDA", **{"raise": "CUDA error"}),
    coded("PredictionException", prediction_exception=513),
    coded("no memory", memory=True),
    coded("its own status", status=418, phrase="I am a teapot"),
    coded("its own type", type="text/csv"),
    coded("its own headers", headers={"X-Own": "1"}),
    infer("handler: a header", "/predictions/coded", b'{"header": "X-Told"}', {**JSON, "X-Told": "yes"}),
]


def sent(calls: Sequence[Call], ours: Ports, theirs: Ports, key: dict[str, str]) -> list[str]:
    """One line for each difference that is not as it should be."""
    wrong = []
    for call in calls:
        their = ask(theirs, call)
        our = ask(ours, call._replace(headers={**call.headers, **key}))
        found = differences(our, their, ignored=lambda path: bool(VARYING.search(path)))
        for path in sorted(found.keys() ^ call.differs.keys()):
            pair = found.get(path)
            wrong.append(f"{call.name}: {path}: " + ("the same" if pair is None else f"{pair[0]!r}, they: {pair[1]!r}"))
    return wrong


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("originals") / "store")


def pair(name: str, store: Path, folder: Path) -> Iterator[tuple[Ports, Ports, dict[str, str]]]:
    """Our ports, theirs, and the header that makes us listen."""
    commands = environment(name, folder / "environment")
    theirs_folder, ours_folder = folder / "theirs", folder / "ours"
    theirs_folder.mkdir()
    ours_folder.mkdir()
    names = ("native", name, f"{name}-management", "torchserve-metrics", f"{name}-grpc", f"{name}-grpc-management")
    doors = ",".join(f"{wires}@127.0.0.1:0" for wires in names)
    options: dict[str, Any] = {}
    if name == "torchserve":
        options = {"disable_token_authorization": "true", "enable_model_api": "true", "workflow_store": store}
    with (
        serving(folder=ours_folder, wait="announced", doors=doors, model_store=store, anonymous="all") as ours,
        original(name, commands, theirs_folder, store, **options) as theirs,
    ):
        yield Ports(*(int(url.rpartition(":")[2]) for url in ours.urls[1:6])), theirs, ours.admin


@pytest.fixture(scope="module")
def mms(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ports, Ports, dict[str, str]]]:
    yield from pair("mms", store, tmp_path_factory.mktemp("mms"))


@pytest.fixture(scope="module")
def torchserve(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ports, Ports, dict[str, str]]]:
    yield from pair("torchserve", store, tmp_path_factory.mktemp("torchserve"))


ENGINE = "the runtime, whatever an archive says of a framework"
STARTUP = "every model is loaded again at the next start"
DELAY = "the delay that is in force: a request alone waits for nothing"
STAYS = "a model that cannot be loaded stays registered, with the reason, as in TorchServe"
REASON = "the reason is told, and what to do"
DESCRIBED = {".engine": ENGINE, ".loadedAtStartup": STARTUP, ".maxBatchDelay": DELAY}
MMS_MANAGEMENT = [
    manage("nothing listed", "GET", "/models"),
    manage("register without workers", "POST", "/models?url=echo.mar"),
    manage("describe without workers", "GET", "/models/echo", **DESCRIBED),
    manage("register again", "POST", "/models?url=echo.mar"),
    manage("no url", "POST", "/models"),
    manage("not in the store", "POST", "/models?url=nobody.mar"),
    manage("outside the store", "POST", "/models?url=../echo.mar"),
    manage("wrong runtime", "POST", "/models?url=coded.mar&runtime=perl"),
    manage("no archive", "POST", "/models?url=text.mar", **{".message": REASON}),
    manage("predict without workers", "PUT", "/models/echo?min_worker=1&synchronous=true"),
    manage("describe", "GET", "/models/echo", **DESCRIBED),
    manage("register with a worker", "POST", "/models?url=coded.mar&initial_workers=1&synchronous=true"),
    manage("register another name by JSON", "POST", "/models", b'{"url": "echo.mar", "model_name": "again"}', JSON),
    manage("register with batches", "POST", "/models?url=echo.mar&model_name=batched&batch_size=4&max_batch_delay=50"),
    manage("describe batches", "GET", "/models/batched", **{".engine": ENGINE, ".loadedAtStartup": STARTUP}),
    manage("cannot be loaded", "POST", "/models?url=broken.mar&initial_workers=1", **{".message": REASON}),
    manage("list", "GET", "/models", **{".models": STAYS}),
    manage("list a page", "GET", "/models?limit=1&next_page_token=1"),
    manage("describe nobody", "GET", "/models/nobody"),
    manage("scale asynchronously", "PUT", "/models/echo?min_worker=1"),
    manage("scale nobody", "PUT", "/models/nobody?min_worker=1"),
    manage("more than the most", "PUT", "/models/echo?min_worker=2&max_worker=1"),
    manage("unregister", "DELETE", "/models/again"),
    manage("unregister nobody", "DELETE", "/models/again"),
    manage("wrong verb", "PATCH", "/models"),
    manage("wrong verb for a model", "POST", "/models/echo"),
    manage("unknown address", "GET", "/models/echo/two/three"),
]


def test_multi_model_server_answers_as_we_do(mms: tuple[Ports, Ports, dict[str, str]]) -> None:
    ours, theirs, key = mms
    cuda = dict.fromkeys(
        ("status", "phrase", ".code", ".message"), "a GPU without memory is told as such, as TorchServe does"
    )
    differing = {"ping": {".status": STAYS}, "handler: CUDA": cuda}
    inference = [call._replace(differs=differing.get(call.name, {})) for call in INFERENCE]
    wrong = sent([*MMS_MANAGEMENT, *inference], ours, theirs, key)
    assert wrong == [], "\n".join(wrong)


TORCHSERVE_MANAGEMENT = [
    *MMS_MANAGEMENT[:-3],
    manage("a second version", "POST", "/models?url=echo-two.mar"),
    manage("a second version again", "POST", "/models?url=echo-two.mar"),
    manage("describe all", "GET", "/models/echo/all"),
    manage("describe one", "GET", "/models/echo/2.0"),
    manage("describe none", "GET", "/models/echo/9.0"),
    manage("scale one", "PUT", "/models/echo/2.0?min_worker=1&synchronous=true"),
    manage("scale one that is not there", "PUT", "/models/echo/9.0?min_worker=1"),
    manage("default", "PUT", "/models/echo/2.0/set-default"),
    manage("default that is not there", "PUT", "/models/echo/9.0/set-default"),
    manage("the default stays", "DELETE", "/models/echo/2.0"),
    manage("one that is not there", "DELETE", "/models/echo/9.0"),
    manage("the other goes", "DELETE", "/models/echo/1.0"),
    manage("wrong verb", "PATCH", "/models"),
    manage("readiness", "GET", "/v1/models/echo"),
]
TORCHSERVE_INFERENCE = [
    *INFERENCE,
    infer("a version", "/predictions/echo/2.0", b"abc"),
    infer("no such version", "/predictions/echo/9.0", b"abc"),
    infer("explain", "/explanations/coded", b'{"header": "explain"}', JSON),
    infer("url path", "/predictions/coded/1.0/some/path", b'{"header": "url_path"}', JSON),
    infer("no explanation", "/predictions/coded", b'{"header": "explain"}', JSON),
    infer("malformed JSON", "/predictions/echo", b"{", JSON),
    infer("kserve 1", "/v1/models/echo:predict", b'{"instances": [1]}', JSON),
    infer("kserve 1 explain", "/v1/models/coded:explain", b'{"header": "explain"}', JSON),
    infer("kserve 2", "/v2/models/echo/infer", b'{"inputs": []}', JSON),
    infer("0.4 with a version", "/echo/2.0/predict", b"abc"),
]


TORCHSERVE_CALLS = [*TORCHSERVE_MANAGEMENT, *TORCHSERVE_INFERENCE]
QUEUE = "the queue of this server, for all workers of a version"
LISTED = {"[0].jobQueueStatus.remainingCapacity": QUEUE, "[0].loadedAtStartup": STARTUP, "[0].maxBatchDelay": DELAY}
TORCHSERVE_DIFFERS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("describe without workers", "describe", "describe one"), LISTED),
    "describe batches": {key: reason for key, reason in LISTED.items() if reason != DELAY},
    "describe all": LISTED | {key.replace("0", "1", 1): reason for key, reason in LISTED.items()},
    "list": {},
    "ping": dict.fromkeys(("status", "phrase", "closes", ".status"), "a model that cannot be loaded is missed"),
}


def test_torchserve_answers_as_we_do(torchserve: tuple[Ports, Ports, dict[str, str]]) -> None:
    ours, theirs, key = torchserve
    calls = [call._replace(differs=TORCHSERVE_DIFFERS.get(call.name, call.differs)) for call in TORCHSERVE_CALLS]
    wrong = sent(calls, ours, theirs, key)
    assert wrong == [], "\n".join(wrong)


def outline(document: Any) -> Any:
    """What may be asked of what, without the words that explain it."""
    paths = {
        path: {
            verb: (each["operationId"], [given["in"] for given in each["parameters"][:1]])
            for verb, each in item.items()
        }
        for path, item in document["paths"].items()
    }
    return document["openapi"], document["info"]["title"], paths


def test_torchserve_describes_the_management_of_a_model_as_we_do(
    torchserve: tuple[Ports, Ports, dict[str, str]],
) -> None:
    ours, theirs, key = torchserve
    for target in ("/models/echo", "/models/echo/2.0"):
        documents = []
        for ports, headers in ((theirs, {}), (ours, key)):
            ask(ports, manage("register", "POST", "/models?url=echo.mar", headers=headers))
            told = ask(ports, manage("describe", "OPTIONS", target, headers=headers))
            documents.append(outline(told.document))
            assert told.status == 200
        assert documents[0] == documents[1]
    unknown = manage("describe nobody", "OPTIONS", "/models/nobody")
    assert sent([unknown], ours, theirs, key) == []


WORDY = "what is wrong with the graph is said"
WORKFLOW_CALLS = [
    manage("no workflows", "GET", "/workflows"),
    manage("register nothing", "POST", "/workflows"),
    manage("register what is not there", "POST", "/workflows?url=nobody.war"),
    manage("register what lies elsewhere", "POST", "/workflows?url=../x.war"),
    manage("describe no workflow", "GET", "/workflows/nobody"),
    manage("delete no workflow", "DELETE", "/workflows/nobody"),
    manage("a verb for one that there is not", "PUT", "/workflows/nobody"),
    manage("a verb for all that there is not", "PUT", "/workflows"),
    infer("ask no workflow", "/wfpredict/nobody", b"abc"),
    infer("ask none", "/wfpredict"),
    manage("register", "POST", "/workflows?url=chain.war"),
    manage("register again", "POST", "/workflows?url=chain.war"),
    manage("register under another name", "POST", "/workflows?url=fan.war&workflow_name=other"),
    manage("register several ends", "POST", "/workflows?url=leaves.war"),
    manage("register what will fail", "POST", "/workflows?url=bang.war"),
    manage("register what ends in text", "POST", "/workflows?url=texts.war"),
    infer("a chain", "/wfpredict/chain", b"abc", {"X-Told": "yes"}),
    infer("a chain with more of an address", "/wfpredict/chain/more", b"abc"),
    infer("a chain asked with GET", "/wfpredict/chain", method="GET"),
    infer("a chain with a form", "/wfpredict/chain", b"data=abc", FORM),
    infer("a chain with JSON for bytes", "/wfpredict/chain", b'{"a": 1}', JSON),
    infer("two before one", "/wfpredict/other", b"abc"),
    infer("several ends", "/wfpredict/leaves", b"abc"),
    infer(
        "an end in text",
        "/wfpredict/texts",
        b"abc",
        **dict.fromkeys(("status", "phrase", "closes", ".code", ".type", ".message", ".m", ".text"), "any value goes"),
    ),
    infer("a node that fails", "/wfpredict/bang", b"abc"),
    manage("describe a workflow", "GET", "/workflows/other"),
    manage("the first page", "GET", "/workflows?limit=1"),
    manage("describe a model of one", "GET", "/models/other__m", **LISTED),
    manage("register a loop", "POST", "/workflows?url=cyclic.war", **{".message": WORDY}),
    manage("register a node after itself", "POST", "/workflows?url=self.war", **{".message": WORDY}),
    manage("register two starts", "POST", "/workflows?url=starts.war", **{".message": WORDY}),
    manage("register a strange node", "POST", "/workflows?url=strange.war", **{".message": WORDY, ".type": WORDY}),
    manage("register without its model", "POST", "/workflows?url=lacking.war"),
    manage("register no YAML", "POST", "/workflows?url=noyaml.war", **{".message": WORDY}),
    manage("register no zip", "POST", "/workflows?url=text.war", **{".message": WORDY}),
    *(manage(f"delete {name}", "DELETE", f"/workflows/{name}") for name in ("other", "leaves", "bang", "texts")),
    manage("delete", "DELETE", "/workflows/chain"),
    infer("ask what is gone", "/wfpredict/chain", b"abc"),
    manage("none are left", "GET", "/workflows"),
]


def test_torchserve_has_workflows_as_we_do(torchserve: tuple[Ports, Ports, dict[str, str]]) -> None:
    ours, theirs, key = torchserve
    wrong = sent(WORKFLOW_CALLS, ours, theirs, key)
    assert wrong == [], "\n".join(wrong)


def register(url: str, name: str, workers: int = 1) -> Any:
    return management_pb2.RegisterModelRequest(url=url, model_name=name, initial_workers=workers, synchronous=True)


def prediction(model: str = "", version: str = "", **inputs: bytes) -> Any:
    return inference_pb2.PredictionsRequest(model_name=model, model_version=version, input=inputs)


GRPC_CALLS: list[tuple[str, str, Any]] = [
    ("inference", "Ping", empty_pb2.Empty()),
    ("inference", "Predictions", prediction("echo", data=b"abc")),
    ("inference", "Predictions", prediction("echo", "2.0", data=b"abc", more=b"1")),
    ("inference", "Predictions", prediction("nobody", data=b"abc")),
    ("inference", "Predictions", prediction(data=b"abc")),
    ("inference", "Predictions", prediction("echo", "9.0", data=b"abc")),
    ("inference", "Predictions", prediction("failing", data=b"abc")),
    ("inference", "Predictions", prediction("idle", data=b"abc")),
    ("management", "ListModels", management_pb2.ListModelsRequest(limit=10)),
    ("management", "DescribeModel", management_pb2.DescribeModelRequest(model_name="nobody")),
    ("management", "DescribeModel", management_pb2.DescribeModelRequest()),
    ("management", "DescribeModel", management_pb2.DescribeModelRequest(model_name="echo", model_version="9.0")),
    ("management", "RegisterModel", management_pb2.RegisterModelRequest(url="nobody.mar")),
    ("management", "RegisterModel", management_pb2.RegisterModelRequest()),
    ("management", "RegisterModel", management_pb2.RegisterModelRequest(url="echo.mar", model_name="third")),
    ("management", "RegisterModel", management_pb2.RegisterModelRequest(url="echo.mar", model_name="third")),
    (
        "management",
        "ScaleWorker",
        management_pb2.ScaleWorkerRequest(model_name="third", min_worker=1, max_worker=1, synchronous=True),
    ),
    ("management", "ScaleWorker", management_pb2.ScaleWorkerRequest(model_name="nobody", min_worker=1, max_worker=1)),
    ("management", "SetDefault", management_pb2.SetDefaultRequest(model_name="third", model_version="1.0")),
    ("management", "SetDefault", management_pb2.SetDefaultRequest(model_name="third", model_version="7.0")),
    ("management", "UnregisterModel", management_pb2.UnregisterModelRequest(model_name="third")),
    ("management", "UnregisterModel", management_pb2.UnregisterModelRequest(model_name="third")),
]
CONFLICT = "StatusCode.ALREADY_EXISTS 'Model version 1.0 is already registered for model third'"
"""Where the original ends the call with an exception of its own: UNKNOWN, without words."""
SERVICES = {
    "inference": "/org.pytorch.serve.grpc.inference.InferenceAPIsService",
    "management": "/org.pytorch.serve.grpc.management.ManagementAPIsService",
}
RESPONSES: dict[str, Any] = {
    "Ping": inference_pb2.TorchServeHealthResponse,
    "Predictions": inference_pb2.PredictionResponse,
}


def called(ports: Ports, service: str, method: str, message: Any, metadata: Sequence[tuple[str, str]]) -> str:
    """The answer as text, or the status and the description of an error."""
    port = ports.grpc_inference if service == "inference" else ports.grpc_management
    kind = RESPONSES.get(method, management_pb2.ManagementResponse)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            f"{SERVICES[service]}/{method}",
            request_serializer=lambda given: given.SerializeToString(),
            response_deserializer=kind.FromString,
        )
        try:
            answer = call(message, timeout=60, metadata=metadata, wait_for_ready=True)
            if kind is inference_pb2.PredictionResponse:  # inputs are a map, which has no order
                return json.dumps(json.loads(answer.prediction), sort_keys=True)
            return str(answer)
        except grpc.RpcError as error:
            return f"{error.code()} {error.details()!r}"


def test_torchserve_answers_over_grpc_as_we_do(torchserve: tuple[Ports, Ports, dict[str, str]]) -> None:
    ours, theirs, key = torchserve
    metadata = [(name.lower(), value) for name, value in key.items()]
    for ports, mine in ((theirs, []), (ours, metadata)):  # a model of both, whatever ran before
        for url, name in (("echo.mar", "echo"), ("echo-two.mar", "echo"), ("failing.mar", "failing")):
            called(ports, "management", "RegisterModel", register(url, name), mine)
        called(ports, "management", "RegisterModel", register("echo.mar", "idle", workers=0), mine)
        called(ports, "management", "UnregisterModel", management_pb2.UnregisterModelRequest(model_name="broken"), mine)
    wrong = []
    for service, method, message in GRPC_CALLS:
        their = called(theirs, service, method, message, [])
        our = called(ours, service, method, message, metadata)
        if our != their and our != CONFLICT:
            wrong.append(f"{method} {message!r}: {our}, they: {their}")
    assert wrong == [], "\n".join(wrong)


class Raw(NamedTuple):
    """An answer as its bytes came."""

    line: str
    headers: dict[str, str]
    pieces: list[bytes]
    """The chunks, or the whole body."""
    is_whole: bool


def raw(port: int, body: bytes, key: dict[str, str]) -> Raw:
    """The answer of the model `streaming` to this body, over a connection of its own."""
    lines = ["POST /predictions/streaming HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in key.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock, sock.makefile("rb") as file:
        sock.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        line = file.readline().decode().rstrip("\r\n")
        headers = {}
        while (header := file.readline().decode().strip()) != "":
            name, _, value = header.partition(": ")
            headers[name.lower()] = value
        if "content-length" in headers:
            return Raw(line, headers, [file.read(int(headers["content-length"]))], is_whole=True)
        pieces = []
        with contextlib.suppress(ConnectionResetError):
            while size := int(file.readline() or b"-1", 16):
                if size < 0:
                    return Raw(line, headers, pieces, is_whole=False)
                pieces.append(file.read(size))
                file.readline()
            return Raw(line, headers, pieces, is_whole=file.readline() == b"\r\n")
        return Raw(line, headers, pieces, is_whole=False)


def streamed(port: int, body: bytes, key: dict[str, str]) -> list[str]:
    """The messages of StreamPredictions, and how the call ended when it failed."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_stream(
            f"{SERVICES['inference']}/StreamPredictions",
            request_serializer=lambda given: given.SerializeToString(),
            response_deserializer=inference_pb2.PredictionResponse.FromString,
        )
        told = []
        metadata = [(name.lower(), value) for name, value in key.items()]
        try:
            for message in call(prediction("streaming", data=body), timeout=60, metadata=metadata, wait_for_ready=True):
                told.append(str(message))
        except grpc.RpcError as error:
            told.append(f"{error.code()} {error.details()!r}")
        return told


IN_PARTS = ("one two", "", "typecsv X-A one", "X-A typecsv status201 one two", "one status201 X-B", "one fail")
NO_VALUES = frozenset({"x-request-id", "date", "connection"})


def test_torchserve_answers_in_parts_as_we_do(torchserve: tuple[Ports, Ports, dict[str, str]]) -> None:
    """But for a status of 400 and above before the first part: they close the connection behind the head."""
    ours, theirs, key = torchserve
    for ports, mine in ((theirs, {}), (ours, key)):
        ask(ports, manage("streams", "POST", "/models?url=streaming.mar&initial_workers=1", headers=mine))
    wrong = []
    for text in IN_PARTS:
        their, our = raw(theirs.inference, text.encode(), {}), raw(ours.inference, text.encode(), key)
        found = [
            told._replace(headers={name: value for name, value in told.headers.items() if name not in NO_VALUES})
            for told in (our, their)
        ]
        if found[0] != found[1]:
            wrong.append(f"{text!r}: {found[0]}, they: {found[1]}")
        if not text:  # without an intermediate answer their stream of messages does not end
            continue
        messages = streamed(ours.grpc_inference, text.encode(), key)
        if messages != (others := streamed(theirs.grpc_inference, text.encode(), {})):
            wrong.append(f"{text!r}: {messages}, they: {others}")
    assert wrong == [], "\n".join(wrong)
