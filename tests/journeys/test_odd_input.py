"""What a stranger tries: requests that are odd and right, and others that only look so. No fault, no silence."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
import requests
from bad_input import INFER, SUMS, TEXTS, v2_request
from journey_models import write_model
from journey_server import Server, eventually, serving
from journey_sockets import connect, received

from salver.wire.openinference.pb import inference_pb2 as pb

WIRES = ("openinference", "mlserver")
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"
MANY = """
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    "outputs": [{"name": f"o{number}", "datatype": "FP32", "shape": [-1]} for number in range(200)],
}

def predict(x: np.ndarray):
    return {f"o{number}": x.sum(axis=1) + number for number in range(200)}
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("odd-input")
    codes = {"sums": SUMS, "texts": TEXTS, "many": MANY}
    models = [write_model(folder / name, code, name=name) for name, code in codes.items()]
    doors = ",".join(f"{name}@127.0.0.1:0" for name in (*WIRES, "native", *(f"{wire}-grpc" for wire in WIRES)))
    with serving(*models, folder=folder, doors=doors, max_body_mb=16, wait="announced") as server:
        for model in codes:
            wait_for(server, model)
        yield server
        assert not [line for line in server.logs.splitlines() if '"level": "error"' in line]


def wait_for(server: Server, model: str) -> None:
    url = f"{server.urls[0]}/v2/models/{model}/ready"
    eventually(lambda: requests.get(url, timeout=10).status_code == 200, 30, f"{model} is ready")


def url_of(server: Server, wire: str) -> str:
    return server.urls[WIRES.index(wire)]


def ask(server: Server, wire: str, model: str = "sums", **changes: Any) -> requests.Response:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]} | changes
    return requests.post(f"{url_of(server, wire)}/v2/models/{model}/infer", json={"inputs": [tensor]}, timeout=30)


REFUSED: dict[str, dict[str, Any]] = {
    "no rows": {"shape": [0, 4], "data": []},
    "a shape like a number of stars": {"shape": [99999999999999, 4]},
    "a negative shape": {"shape": [-1, 4]},
    "half a row": {"shape": [0.5, 4]},
    "a shape that is a number": {"shape": 4},
    "an object for data": {"data": {"a": 1}},
    "null for data": {"data": None},
    "a list for a datatype": {"datatype": ["FP32"]},
    "a number for a name": {"name": 1},
    "deep data": {"data": json.loads("[" * 400 + "]" * 400)},
    "a parameter that is a list": {"parameters": {"a": [1]}},
    "a name of a model from far away": {"model": "\u00fcn\u20ac\U0001f600"},
    "a model with a dot": {"model": "sums.."},
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("what", REFUSED)
def test_odd_requests_are_the_callers_mistake(running: Server, wire: str, what: str) -> None:
    answer = ask(running, wire, **REFUSED[what])
    assert 400 <= answer.status_code < 500, answer.text
    assert set(answer.json()) in ({"error"}, {"detail"})


@pytest.mark.parametrize("wire", WIRES)
def test_odd_requests_that_are_right_are_answered(running: Server, wire: str) -> None:
    rows = 50_000
    many = ask(running, wire, shape=[rows, 4], data=[[1, 2, 3, 4]] * rows).json()["outputs"][0]["data"]
    assert many == [10.0] * rows
    assert len(ask(running, wire, model="many").json()["outputs"]) == 200
    text = {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["", "\U0001f600"]}
    assert ask(running, wire, model="texts", **text).json()["outputs"][0]["data"] == [0, 4]


@pytest.mark.parametrize("wire", WIRES)
def test_a_bomb_of_gzip_does_not_go_off(running: Server, wire: str) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    url = f"{url_of(running, wire)}/v2/models/sums/infer"
    answer = requests.post(url, data=bomb, headers={"Content-Encoding": "gzip"}, timeout=30)
    assert answer.status_code == 413
    assert "once inflated" in answer.json()["error"]


@pytest.mark.parametrize("wire", WIRES)
def test_http_1_0_without_a_host_is_answered(running: Server, wire: str) -> None:
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]}).encode()
    with connect(url_of(running, wire)) as sock:
        sock.sendall(b"POST /v2/models/sums/infer HTTP/1.0\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        answer = received(sock)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"10.0" in answer


@pytest.mark.parametrize("wire", WIRES)
def test_a_stream_may_say_nothing_or_go_wrong_on_its_way(running: Server, wire: str) -> None:
    good, bad = v2_request().SerializeToString(), v2_request(model="nobody").SerializeToString()
    with grpc.insecure_channel(running.urls[3 + WIRES.index(wire)].removeprefix("grpc://")) as channel:
        stream = channel.stream_stream(STREAM)
        assert list(stream(iter([]), timeout=20, wait_for_ready=True)) == []
        assert len(list(stream(iter([good] * 3), timeout=20))) == 3
        answers = stream(iter([good, bad, good]), timeout=20)
        if wire == "openinference":
            told = [pb.ModelStreamInferResponse.FromString(answer).error_message for answer in answers]
            assert told == ["", "Request for unknown model: 'nobody' is not found", ""]
        else:
            with pytest.raises(grpc.RpcError, match="Model nobody not found"):
                list(answers)
        with pytest.raises(grpc.RpcError) as caught:  # no message at all, where one is needed
            channel.stream_unary(INFER)(iter([]), timeout=20)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
