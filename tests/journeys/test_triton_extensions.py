"""What Triton's HTTP clients ask beyond inference: generate, statistics, settings, sequences, compressed answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import requests
from journey_formats import HANDLER_FUNCTION, archive, write_line
from journey_models import write_model
from journey_server import Server, eventually, serving
from triton_models import COUNTER, MIRROR, TEXT

triton = pytest.importorskip("tritonclient.http")
aio = pytest.importorskip("tritonclient.http.aio")
utils = pytest.importorskip("tritonclient.utils")
bfloat16 = pytest.importorskip("ml_dtypes").bfloat16

ROW = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton-extensions")
    sources = [write_model(folder / name, code) for name, code in (("mirror", MIRROR), ("counter", COUNTER))]
    sources.append(write_model(folder / "text", TEXT))
    write_line(folder / "line" / "1" / "model.onnx", 3.0, 1.0)
    handler = archive(folder / "handler.mar", HANDLER_FUNCTION, "service:handle").path
    with serving(*sources, folder / "line", handler, folder=folder, processes=2) as server:
        scale = requests.put(
            f"{server.url}/api/v1/models/counter/scale", json={"replicas": 2}, headers=server.admin, timeout=60
        )
        scale.raise_for_status()
        server.wait_for_workers("counter", 2)
        yield server


@pytest.fixture
def client(served: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as made:
        yield made


def given(name: str, values: Any, datatype: str = "", *, is_binary: bool = True) -> Any:
    made = triton.InferInput(name, list(values.shape), datatype or utils.np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values, binary_data=is_binary)
    return made


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(utils.InferenceServerException) as caught:
        call()
    return str(caught.value.status()), caught.value.message()


def test_bf16_leaves_as_it_came(client) -> None:
    arrays: dict[str, Any] = {
        utils.np_to_triton_dtype(np.dtype(kind)): np.array([[0, 1]], kind)
        for kind in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    }
    arrays["BYTES"] = np.array([[b"", b"\xff\x00"]], object)
    arrays["BF16"] = np.array([[1.5, -2.0]], bfloat16)
    result = client.infer("mirror", [given(name, array, name) for name, array in arrays.items()])
    assert result.get_output("BF16")["datatype"] == "BF16"
    assert result.as_numpy("BF16").tolist() == [[1.5, -2.0]]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("is_binary", [True, False])
def test_answers_are_compressed_for_whom_asks(client, encoding: str, is_binary: bool) -> None:
    rows = np.repeat(ROW, 500, axis=0)
    wanted = [triton.InferRequestedOutput("y", binary_data=is_binary)]
    result = client.infer("line", [given("x", rows)], outputs=wanted, response_compression_algorithm=encoding)
    assert result.as_numpy("y").tolist() == (rows * 3 + 1).tolist()


def test_a_compressed_answer_is_smaller(served: Server) -> None:
    tensor = {"name": "x", "datatype": "FP32", "shape": [500, 4], "data": [1.0] * 2000}
    sizes = {}
    for encoding in ("gzip", "deflate", "identity"):
        with served.post(
            "/v2/models/line/infer", json={"inputs": [tensor]}, headers={"Accept-Encoding": encoding}
        ) as told:
            assert told.headers.get("Content-Encoding", "identity") == encoding
            sizes[encoding] = int(told.headers["Content-Length"])
            assert told.json()["outputs"][0]["data"] == [4.0] * 2000
    assert sizes["gzip"] < sizes["identity"] / 10


def test_a_timeout_bounds_a_request(client) -> None:
    word = given("text_input", np.array([b"a"], object))
    status, text = refused(lambda: client.infer("text", [word], timeout=50_000, parameters={"sleep": 2.0}))
    assert (status, "deadline" in text) == ("504", True)
    client.infer("text", [word], timeout=20_000_000, priority=1)


# Generate


def test_what_is_generated_has_a_key_for_each_output(served: Server) -> None:
    asked = {"text_input": "ab", "times": 3, "id": "7"}
    told = served.post("/v2/models/text/generate", json=asked)
    expected = {"id": "7", "model_name": "text", "model_version": "1", "text_output": "ababab", "length": 6}
    assert (told.status_code, told.json()) == (200, expected)
    told = served.post(
        "/v2/models/text/versions/1/generate", json={"text_input": ["a", "b"], "parameters": {"times": 2}}
    )
    assert told.json()["text_output"] == ["aa", "bb"]


def test_a_stream_of_what_is_generated_has_one_event(served: Server) -> None:
    with served.post("/v2/models/text/generate_stream", json={"text_input": "ab"}, stream=True) as told:
        assert told.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        lines = [line for line in told.iter_lines() if line]
    assert [line[:6] for line in lines] == [b"data: "]
    assert json.loads(lines[0][6:])["text_output"] == "ab"


@pytest.mark.parametrize("path", ["generate", "generate_stream"])
def test_a_wish_to_generate_that_does_not_fit(served: Server, path: str) -> None:
    def told(body: Any, **headers: str) -> tuple[int, str]:
        answer = served.post(f"/v2/models/text/{path}", data=json.dumps(body), headers=headers)
        return answer.status_code, answer.json()["error"]

    assert told({})[1].startswith("[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'text'.")
    assert told([]) == (400, "failed to parse the request JSON buffer: an object is needed")
    assert told({"text_input": 5})[1] == "Unable to parse 'data': an element of BYTES must be a string"
    assert told({"text_input": "a", "triton_a": 1})[0] == 400
    identity = (400, "Unsupported content-encoding, only 'identity' is supported.")
    assert told({"text_input": "a"}, **{"Content-Encoding": "gzip"}) == identity
    unknown = served.post(f"/v2/models/none/{path}", json={"text_input": "a"})
    assert unknown.json() == {"error": "Request for unknown model: 'none' is not found"}


def test_the_form_of_infer_is_taken_there_as_mlserver_does(served: Server) -> None:
    body = {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}
    plain = served.post("/v2/models/text/infer", json=body).json()
    assert served.post("/v2/models/text/generate", json=body).json() == plain
    for verb in ("infer_stream", "generate_stream"):
        told = served.post(f"/v2/models/text/{verb}", json=body).text
        assert (told[:6], json.loads(told[6:])) == ("data: ", plain)


def test_a_handler_generates_too(served: Server) -> None:
    told = served.post("/v2/models/handler/generate", json={"body": '{"nonce": 5}'}).json()
    assert '"answer": 38' in told["body"]


# Sequences


def test_each_sequence_stays_with_one_replica_whatever_connection_it_comes_by(served: Server) -> None:
    processes: dict[Any, set[int]] = {}
    totals: dict[Any, int] = {}
    for step in range(4):
        for sequence in (1, 2, 3, "one", "two", "three"):
            with triton.InferenceServerClient(served.url.removeprefix("http://")) as client:
                result = client.infer(
                    "counter",
                    [given("x", np.array([step], np.int64))],
                    sequence_id=sequence,
                    sequence_start=step == 0,
                    sequence_end=step == 3,
                )
            totals[sequence] = int(result.as_numpy("total")[0])
            processes.setdefault(sequence, set()).add(int(result.as_numpy("process")[0]))
    assert set(totals.values()) == {6}
    assert all(len(places) == 1 for places in processes.values())


# Statistics


def test_statistics_count_what_was_asked(client) -> None:
    def counted(version: str = "") -> Any:
        (one,) = client.get_inference_statistics("line", version)["model_stats"]
        return one

    before = counted()
    for rows in (1, 3, 3):
        client.infer("line", [given("x", np.repeat(ROW, rows, axis=0))])
    refused(lambda: client.infer("line", [given("x", ROW[:, :2])]))
    after = counted("1")
    assert (after["name"], after["version"]) == ("line", "1")
    assert after["inference_count"] - before["inference_count"] == 7
    assert after["execution_count"] - before["execution_count"] == 3
    times, earlier = after["inference_stats"], before["inference_stats"]
    assert times["success"]["count"] - earlier["success"]["count"] == 3
    assert times["fail"]["count"] - earlier["fail"]["count"] == 1
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert abs(sum(times[part]["ns"] for part in parts) - times["success"]["ns"]) < 1000
    assert {batch["batch_size"]: batch["compute_infer"]["count"] for batch in after["batch_stats"]}[3] >= 2
    assert after["last_inference"] > before["last_inference"]
    assert after["memory_usage"][0]["byte_size"] > 1_000_000
    everything = client.get_inference_statistics()["model_stats"]
    assert {each["name"] for each in everything} == {"line", "mirror", "text", "counter", "handler"}
    assert refused(lambda: client.get_inference_statistics("none")) == (
        "400",
        "Request for unknown model: 'none' is not found",
    )
    assert refused(lambda: client.get_inference_statistics("line", "9"))[0] == "404"


# Settings and the repository


def test_the_log_is_chosen_by_who_may_in_every_process(client, served: Server) -> None:
    assert client.get_log_settings() == {
        "log_file": "",
        "log_info": True,
        "log_warning": True,
        "log_error": True,
        "log_verbose_level": 0,
        "log_format": "default",
    }
    assert refused(lambda: client.update_log_settings({"log_info": False}))[0] == "401"
    try:
        changed = client.update_log_settings({"log_info": False, "log_warning": False}, headers=served.admin)
        assert (changed["log_info"], changed["log_warning"]) == (False, False)
        for _ in range(8):  # connections of their own reach both front ends
            with triton.InferenceServerClient(served.url.removeprefix("http://")) as another:
                assert another.get_log_settings()["log_info"] is False
    finally:
        client.update_log_settings({"log_info": True}, headers=served.admin)
    assert client.get_log_settings()["log_info"] is True
    for wrong in ({"log_error": False}, {"log_file": "/tmp/x"}, {"log_format": "ISO8601"}):
        assert refused(lambda: client.update_log_settings(wrong, headers=served.admin))[0] == "501"  # noqa: B023
    status, text = refused(lambda: client.update_log_settings({"log_info": 1}, headers=served.admin))
    assert (status, text) == ("400", "attempt to access JSON non-boolean as boolean in 'log_info'")
    lines = served.get("/api/v1/audit", headers=served.admin).json()
    assert "server.set_logging" in str(lines)


def test_nothing_is_traced(client) -> None:
    for told in (client.get_trace_settings(), client.get_trace_settings("line")):
        assert (told["trace_level"], told["trace_rate"]) == (["OFF"], "1000")
    assert client.update_trace_settings(settings={"trace_level": None})["trace_level"] == ["OFF"]
    assert refused(lambda: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}))[0] == "501"
    assert refused(lambda: client.get_trace_settings("none"))[0] == "400"


def test_loading_sets_what_can_be_set(client, served: Server) -> None:
    config = json.dumps({"name": "text", "instance_group": [{"count": "2"}], "version_policy": {"all": {}}})
    client.load_model("text", headers=served.admin, config=config)
    served.wait_for_workers("text", 2)
    told = client.get_model_config("text")
    assert (told["instance_group"][0]["count"], told["version_policy"]) == (2, {"all": {}})
    client.load_model("text", headers=served.admin, config=json.dumps({"instance_group": [{"count": 1}]}))
    eventually(lambda: len(served.worker_pids("text")) == 1, 20.0, "one replica is left")
    for name, status in (("max_batch_size", "501"), ("backend", "501")):
        config = json.dumps({name: 1})
        assert refused(lambda: client.load_model("text", headers=served.admin, config=config))[0] == status  # noqa: B023
    assert "failed to load" in refused(lambda: client.load_model("text", headers=served.admin, config="{"))[1]
    files = {"file:1/model.py": b""}
    assert refused(lambda: client.load_model("text", headers=served.admin, config="{}", files=files))[0] == "501"


def test_the_asynchronous_client_asks_the_same(served: Server) -> None:
    async def ask() -> Any:
        async with aio.InferenceServerClient(served.url.removeprefix("http://")) as client:
            result = await client.infer("line", [given("x", ROW)], response_compression_algorithm="gzip")
            return result.as_numpy("y").tolist(), await client.get_inference_statistics("line")

    values, told = asyncio.run(ask())
    assert values == (ROW * 3 + 1).tolist()
    assert told["model_stats"][0]["inference_count"] > 0
