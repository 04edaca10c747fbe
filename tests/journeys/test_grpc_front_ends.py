"""gRPC of a whole server: one process or several, found by its address, ended without a lost call."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from journey_models import right_answer
from journey_server import Server, eventually, serving

from salver.net.ports import open_port
from salver.types import as_array
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.rpc.tensors import proto_of, tensor_of

WAIT_S = 30.0
PREDICT = "/tensorflow.serving.PredictionService/Predict"
CHECK = "/grpc.health.v1.Health/Check"


def address_of(server: Server) -> str:
    return next(url for url in server.urls if url.startswith("grpc://")).removeprefix("grpc://")


@contextmanager
def channel_to(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(address_of(server), options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def asking(nonce: int, act: str = "") -> bytes:
    message = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="seven"))
    message.inputs["nonce"].CopyFrom(proto_of(np.array([nonce]), "INT64"))
    message.inputs["act"].CopyFrom(proto_of(np.array([act.encode()], object), "BYTES"))
    return message.SerializeToString()


def answer_in(raw: bytes, name: str = "answer") -> int:
    proto = tfs.PredictResponse.FromString(raw).outputs[name]
    return int(as_array(tensor_of(name, proto, 1024))[0])


@pytest.mark.parametrize("processes", [1, 2])
def test_every_front_end_answers_at_the_one_port(server, seven, processes) -> None:
    with serving_seven(server, seven, processes=processes) as running:
        for nonce in range(12):
            with channel_to(running) as channel:  # a connection each: the system shares them out
                assert answer_in(channel.unary_unary(PREDICT)(asking(nonce), timeout=WAIT_S)) == right_answer(nonce)
                assert channel.unary_unary(CHECK)(b"", timeout=WAIT_S) == b"\x08\x01"
        assert "grpc://127.0.0.1:" in running.printed


def serving_seven(server, seven, **settings):
    return server(seven(), grpc_port=0, **settings)


def test_a_call_in_flight_is_answered_when_the_server_stops(server, seven) -> None:
    with serving_seven(server, seven) as running, channel_to(running) as channel:
        (worker,) = running.worker_pids("seven")
        call = channel.unary_unary(PREDICT).future(asking(3, "sleep 3"), timeout=WAIT_S)
        eventually(lambda: in_flight(running), WAIT_S, "the worker has it")
        running.process.send_signal(signal.SIGTERM)
        assert answer_in(call.result()) == right_answer(3)
        assert answer_in(call.result(), "pid") == worker
        assert running.process.wait(WAIT_S) == 0


def in_flight(server: Server) -> bool:
    return any(value for series, value in server.metrics().items() if "running_rows" in series)


def test_a_taken_port_is_named_with_its_holder_and_the_flag(tmp_path: Path, seven) -> None:
    taken = open_port("127.0.0.1", 0, share=False)
    port = taken.getsockname()[1]
    with taken, pytest.raises(AssertionError) as raised, serving(seven(), folder=tmp_path, grpc_port=port):
        pass
    told = str(raised.value)
    assert f"Port {port} on 127.0.0.1 is taken by process" in told
    assert "--grpc-port" in told
