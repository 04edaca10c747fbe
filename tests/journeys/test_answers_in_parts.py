"""Answers in parts over every protocol that can stream, with the clients that people have for it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import requests
from journey_originals import write_archive
from journey_parts import GENERATOR, HANDLER, Gate
from journey_server import Server, serving

from salver.wire.torchserve.pb import inference_pb2
from salver_client import AsyncClient, Client, SalverClientError

triton = pytest.importorskip("tritonclient.grpc")

WIRES = (
    "native,openinference,tfserving",
    "torchserve",
    "torchserve-grpc",
    "openinference-grpc",
    "mlserver",
    "mlserver-grpc",
)
INFERENCE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
THREE = ["one ", "two ", "three "]


class Site:
    """The server and its addresses."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.native, self.torchserve, self.torchserve_grpc, self.triton, self.mlserver, self.mlserver_grpc = server.urls

    def count(self, protocol: str) -> float:
        """Predictions that were answered."""
        wanted = ('operation="models.predict"', f'protocol="{protocol}"', 'code="OK"')
        series = self.server.metrics()
        found = [name for name in series if name.startswith("salver_requests_total") and all(w in name for w in wanted)]
        return sum(series[name] for name in found)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("parts")
    (folder / "words.py").write_text(GENERATOR)
    write_archive(folder / "handler.mar", "handler", "1.0", HANDLER)
    doors = ",".join(f"{wires.replace(',', '+')}@127.0.0.1:0" for wires in WIRES)
    models = (folder / "words.py", folder / "handler.mar")
    with serving(*models, folder=folder, doors=doors, anonymous="all") as server:
        yield Site(server)


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


# The native protocol and its client


def test_the_native_protocol_and_its_client(site: Site, gate: Gate) -> None:
    with Client(site.native) as client:
        parts = client.stream("words", {"text": [f"one {gate} two three"]})
        first = next(parts)
        assert (first.output(), first.version, bool(first.request_id)) == (["one "], 1, True)
        gate.open()
        assert [part.output()[0] for part in parts] == THREE[1:]
        assert client.predict("words", {"text": ["one two", "three"]}).output() == ["one two ", "three "]


@pytest.mark.parametrize(
    ("line", "first", "rest"),
    [
        ((), 'output: ["one "]', ['output: ["two "]', 'output: ["three "]']),
        (
            ("--json",),
            '{"model": "words", "version": 1, "outputs": {"output": ["one "]}}',
            [f'{{"model": "words", "version": 1, "outputs": {{"output": ["{word}"]}}}}' for word in THREE[1:]],
        ),
    ],
)
def test_the_command_prints_each_part_when_it_comes(
    site: Site, gate: Gate, line: tuple[str, ...], first: str, rest: list[str]
) -> None:
    asked = json.dumps({"text": [f"one {gate} two three"]})
    command = (sys.executable, "-m", "salver", "predict", "words", "--input", asked, "--stream", *line)
    with subprocess.Popen([*command, "--url", site.native], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == first
        gate.open()
        assert process.stdout.read().split("\n")[:-1] == rest
    assert process.returncode == 0


def test_a_handler_over_the_native_protocol(site: Site) -> None:
    with Client(site.native) as client:
        parts = list(client.stream("handler", b"one two"))
        assert [part.body for part in parts] == [b"one ", b"two ", b"end"]
        assert client.predict("handler", b"one two").body == b"one two end"


def test_an_error_behind_the_first_part_is_raised_by_the_client(site: Site) -> None:
    with Client(site.native) as client:
        parts = client.stream("words", {"text": ["one fail"]})
        assert next(parts).output() == ["one "]
        with pytest.raises(SalverClientError) as caught:
            next(parts)
        assert (caught.value.code, caught.value.message) == ("MODEL_ERROR", "the model failed to predict")


def test_an_error_before_the_first_part_has_its_status(site: Site) -> None:
    with Client(site.native) as client, pytest.raises(SalverClientError) as caught:
        next(client.stream("words", {"text": ["one", "two"]}))
    assert (caught.value.code, caught.value.status) == ("INVALID_INPUT", 400)


def test_a_stream_that_is_closed_stops_the_model(site: Site, gate: Gate) -> None:
    with Client(site.native) as client:
        parts = client.stream("words", {"text": ["endless"]})
        next(parts)
        parts.close()
        assert client.predict("words", {"text": ["one"]}).output() == ["one "]


def test_the_asynchronous_client(site: Site) -> None:
    async def ask() -> list[str]:
        async with AsyncClient(site.native) as client:
            return [part.output()[0] async for part in client.stream("words", {"text": ["one two three"]})]

    assert asyncio.run(ask()) == THREE


def test_a_dead_worker_ends_the_stream_with_an_error(site: Site) -> None:
    with Client(site.native) as client:
        parts = client.stream("words", {"text": ["one die"]})
        assert next(parts).output() == ["one "]
        with pytest.raises(SalverClientError) as caught:
            next(parts)
    assert caught.value.code == "WORKER_DIED"
    site.server.wait_for_workers("words", 1)


def test_a_deadline_ends_a_stream(site: Site, gate: Gate) -> None:
    with Client(site.native) as client:
        parts = client.stream("words", {"text": [f"one {gate}"]}, deadline_s=0.5)
        assert next(parts).output() == ["one "]
        with pytest.raises(SalverClientError) as caught:
            next(parts)
    assert caught.value.code == "DEADLINE_EXCEEDED"


def test_who_does_not_read_hears_no_more_and_the_worker_is_free(site: Site) -> None:
    request = http.client.HTTPConnection(site.native.removeprefix("http://"), timeout=60)
    with contextlib.closing(request), Client(site.native) as client:
        address = "/api/v1/models/words/predict"
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        request.request("POST", address, json.dumps({"text": ["endless"]}), headers)
        assert client.predict("words", {"text": ["one"]}).output() == ["one "]
        last = request.getresponse().read().rstrip().rpartition(b"\n\n")[2]
        assert last.startswith(b'event: error\ndata: {"error":{"code":"CANCELLED"')


def test_one_request_is_counted_and_logged_for_all_parts(site: Site) -> None:
    before = site.count("native")
    with Client(site.native) as client:
        assert len(list(client.stream("words", {"text": ["one two three"]}))) == 3
    assert site.count("native") == before + 1


# Open Inference


def events(answer: requests.Response) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix(b"data: ")) for line in answer.iter_lines() if line]


def test_generate_stream_has_an_event_for_each_part(site: Site, gate: Gate) -> None:
    address = f"{site.native}/v2/models/words/generate_stream"
    with requests.post(address, json={"text": f"one {gate} two"}, stream=True, timeout=60) as answer:
        lines = (line for line in answer.iter_lines() if line)
        first = json.loads(next(lines).removeprefix(b"data: "))
        assert first == {"model_name": "words", "model_version": "1", "output": "one "}
        gate.open()
        assert [json.loads(line.removeprefix(b"data: "))["output"] for line in lines] == ["two "]


def test_generate_has_the_whole(site: Site) -> None:
    answer = requests.post(f"{site.native}/v2/models/words/generate", json={"text": "one two"}, timeout=60)
    assert answer.json()["output"] == "one two "


def test_an_error_in_the_middle_is_an_event(site: Site) -> None:
    for address in (site.native, site.mlserver):
        form: Any = {"text": "one fail"}
        if address == site.mlserver:
            form = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["one fail"]}]}
        with requests.post(f"{address}/v2/models/words/generate_stream", json=form, stream=True, timeout=60) as answer:
            first, last = events(answer)
        assert "one " in json.dumps(first)
        assert list(last) == ["error"]


def test_mlservers_streams(site: Site) -> None:
    form = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["one two"]}]}
    for verb in ("infer_stream", "generate_stream"):
        with requests.post(f"{site.mlserver}/v2/models/words/{verb}", json=form, stream=True, timeout=60) as answer:
            found = [event["outputs"][0]["data"] for event in events(answer)]
        assert found == [["one "], ["two "]]


def test_mlservers_stream_over_grpc(site: Site) -> None:
    from salver.wire.openinference.pb import inference_pb2 as pb

    asked = pb.ModelInferRequest(model_name="words")
    given = asked.inputs.add(name="text", datatype="BYTES", shape=[1])
    given.contents.bytes_contents.append(b"one two")
    with grpc.insecure_channel(site.mlserver_grpc.removeprefix("grpc://")) as channel:
        call = channel.stream_stream(
            "/inference.GRPCInferenceService/ModelStreamInfer",
            lambda it: it.SerializeToString(),
            pb.ModelInferResponse.FromString,
        )
        found = [answer.outputs[0].contents.bytes_contents[0] for answer in call(iter([asked]), timeout=60)]
    assert found == [b"one ", b"two "]


def test_a_model_that_is_decoupled_says_so(site: Site) -> None:
    config = requests.get(f"{site.native}/v2/models/words/config", timeout=60).json()
    assert config["model_transaction_policy"] == {"decoupled": True}


def text(value: str) -> Any:
    given = triton.InferInput("text", [1], "BYTES")
    given.set_data_from_numpy(np.array([value.encode()], object))
    return given


@pytest.fixture
def talk(site: Site) -> Iterator[Callable[..., list[Any]]]:
    """Triton's client: what comes for one request until a final response or an error."""
    with triton.InferenceServerClient(site.triton.removeprefix("grpc://")) as client:

        def talk(words: str, **options: Any) -> list[Any]:
            came: queue.Queue[Any] = queue.Queue()
            client.start_stream(callback=lambda result, error: came.put(error or result))
            client.async_stream_infer("words", [text(words)], request_id="7", **options)
            client.stop_stream()
            return list(came.queue)

        yield talk


def final(result: Any) -> bool:
    return bool(result.get_response().parameters["triton_final_response"].bool_param)


def test_tritons_client_gets_each_part_and_an_empty_last_one_where_it_asks(talk: Callable[..., list[Any]]) -> None:
    results = talk("one two", enable_empty_final_response=True)
    assert [result.as_numpy("output").tolist() for result in results[:-1]] == [[b"one "], [b"two "]]
    assert [final(result) for result in results] == [False, False, True]
    assert [result.get_response().id for result in results] == ["7"] * 3
    assert not results[-1].get_response().outputs
    assert [result.as_numpy("output").tolist() for result in talk("one two")] == [[b"one "], [b"two "]]


def test_tritons_client_hears_of_an_error_behind_a_part(talk: Callable[..., list[Any]]) -> None:
    first, last = talk("one fail")
    assert first.as_numpy("output").tolist() == [b"one "]
    assert "the model failed to predict" in str(last)


def test_model_infer_gives_the_whole(site: Site) -> None:
    with triton.InferenceServerClient(site.triton.removeprefix("grpc://")) as client:
        assert client.infer("words", [text("one two")]).as_numpy("output").tolist() == [b"one two "]


# TensorFlow Serving


def test_tensorflow_serving_gives_the_whole(site: Site) -> None:
    answer = requests.post(
        f"{site.native}/v1/models/words:predict", json={"instances": ["one two", "three"]}, timeout=60
    )
    assert answer.json() == {"predictions": ["one two ", "three "]}


# TorchServe


def test_torchserves_chunks(site: Site, gate: Gate) -> None:
    connection = http.client.HTTPConnection(site.torchserve.removeprefix("http://"), timeout=60)
    connection.request("POST", "/predictions/handler", f"one {gate} two")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("transfer-encoding")) == (200, "chunked")
    assert answer.getheader("ts_stream_next") == "true"
    assert answer.read1() == b"one "
    gate.open()
    assert answer.read() == b"two end"
    connection.request("POST", "/predictions/handler", "")  # the connection goes on
    assert connection.getresponse().read() == b"end"
    connection.close()


def test_a_handler_that_fails_behind_a_part_breaks_its_answer_off(site: Site) -> None:
    with requests.post(f"{site.torchserve}/predictions/handler", data="one fail", stream=True, timeout=60) as answer:
        pieces = answer.iter_content(None)
        assert next(pieces) == b"one "
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(pieces)


def test_a_status_that_has_no_body_has_no_parts(site: Site) -> None:
    with requests.Session() as session:
        answer = session.post(f"{site.torchserve}/predictions/handler", data="status204 one", timeout=60)
        assert (answer.status_code, "has no body" in answer.json()["message"]) == (503, True)
        assert session.post(f"{site.torchserve}/predictions/handler", data="one", timeout=60).text == "one end"


def test_http_1_0_gets_a_body_that_ends_with_the_connection(site: Site) -> None:
    import socket

    host, _, port = site.torchserve.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as sock:
        sock.sendall(b"POST /predictions/handler HTTP/1.0\r\nContent-Length: 7\r\n\r\none two")
        received = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert body == b"one two end"


def stream(address: str, method: str, message: Any, kind: Any) -> list[Any]:
    with grpc.insecure_channel(address.removeprefix("grpc://")) as channel:
        if method == "StreamPredictions":
            call: Any = channel.unary_stream(
                f"{INFERENCE}/{method}", lambda it: it.SerializeToString(), kind.FromString
            )
            return list(call(message, timeout=60))
        call = channel.stream_stream(f"{INFERENCE}/{method}", lambda it: it.SerializeToString(), kind.FromString)
        return list(call(iter([message]), timeout=60))


@pytest.mark.parametrize("method", ["StreamPredictions", "StreamPredictions2"])
def test_torchserves_messages(site: Site, method: str) -> None:
    kind = inference_pb2.PredictionResponse
    asked = inference_pb2.PredictionsRequest(model_name="handler", input={"data": b"one two"})
    found = stream(site.torchserve_grpc, method, asked, kind)
    assert [message.prediction for message in found] == [b"one ", b"two ", b"end"]
    asked = inference_pb2.PredictionsRequest(model_name="words", input={"text": b'["one two"]'})
    found = stream(site.torchserve_grpc, method, asked, kind)
    assert [json.loads(message.prediction) for message in found] == ["one ", "two "]


def test_predictions_gives_the_whole(site: Site) -> None:
    with grpc.insecure_channel(site.torchserve_grpc.removeprefix("grpc://")) as channel:
        call = channel.unary_unary(
            f"{INFERENCE}/Predictions", lambda it: it.SerializeToString(), inference_pb2.PredictionResponse.FromString
        )
        asked = inference_pb2.PredictionsRequest(model_name="handler", input={"data": b"one two"})
        assert call(asked, timeout=60).prediction == b"one two end"
