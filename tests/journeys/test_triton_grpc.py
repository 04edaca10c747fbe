"""Triton's gRPC clients, as they come from the package index, and the messages of the public protocol."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import requests
from journey_formats import HANDLER_FUNCTION, archive, write_line
from journey_models import write_model
from journey_server import Server, serving
from triton_models import COUNTER, MIRROR, TEXT

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")
aio = pytest.importorskip("tritonclient.grpc.aio")
service = pytest.importorskip("tritonclient.grpc.service_pb2")
stubs = pytest.importorskip("tritonclient.grpc.service_pb2_grpc")
utils = pytest.importorskip("tritonclient.utils")
bfloat16 = pytest.importorskip("ml_dtypes").bfloat16

ROW = np.array([[1, 2, 3, 4]], np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton-grpc")
    sources = [write_model(folder / name, code) for name, code in (("mirror", MIRROR), ("counter", COUNTER))]
    sources.append(write_model(folder / "text", TEXT))
    for version, slope in ((1, 2.0), (2, 3.0)):
        write_line(folder / "line" / str(version) / "model.onnx", slope, 1.0)
    handler = archive(folder / "handler.mar", HANDLER_FUNCTION, "service:handle").path
    with serving(*sources, folder / "line", handler, folder=folder, grpc_port=0, max_body_mb=4, watch_s=60) as server:
        for path, change in (("line/policy", {"policy": "all"}), ("counter/scale", {"replicas": 2})):
            address = f"{server.url}/api/v1/models/{path}"
            requests.put(address, json=change, headers=server.admin, timeout=60).raise_for_status()
        server.wait_for_workers("counter", 2)
        yield server


@pytest.fixture(scope="module")
def address(served: Server) -> str:
    return next(url for url in served.urls if url.startswith("grpc://")).removeprefix("grpc://")


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    with triton.InferenceServerClient(address) as made:
        yield made


@pytest.fixture
def stub(address: str) -> Iterator[Any]:
    with grpc.insecure_channel(address) as channel:
        yield stubs.GRPCInferenceServiceStub(channel)


def given(name: str, values: Any, datatype: str = "") -> Any:
    made = triton.InferInput(name, list(values.shape), datatype or utils.np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values)
    return made


def refused(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(utils.InferenceServerException) as caught:
        call()
    return str(caught.value.status()).removeprefix("StatusCode."), caught.value.message()


def key(served: Server) -> dict[str, str]:
    return {"authorization": served.admin["Authorization"]}


def test_every_datatype_there_and_back(client) -> None:
    arrays: dict[str, Any] = {
        utils.np_to_triton_dtype(np.dtype(kind)): np.array([[0, 1]], kind)
        for kind in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    }
    arrays["BYTES"] = np.array([[b"", b"\xff\x00"]], object)
    arrays["BF16"] = np.array([[1.5, -2.0]], bfloat16)
    result = client.infer("mirror", [given(name, array, name) for name, array in arrays.items()], request_id="7")
    for name, array in arrays.items():
        found = result.as_numpy(name)
        assert found.astype(array.dtype).tolist() == array.tolist()
    told = result.get_response()
    assert (told.id, told.model_name, told.model_version) == ("7", "mirror", "1")
    assert {output.name: output.datatype for output in told.outputs} == {name: name for name in arrays}


def test_a_version_is_asked_by_its_number(client) -> None:
    for version, slope in (("1", 2), ("2", 3), ("", 3)):
        result = client.infer("line", [given("x", ROW)], model_version=version)
        assert result.as_numpy("y").tolist() == (ROW * slope + 1).tolist()
        assert result.get_response().model_version == (version or "2")


def test_the_highest_values_with_their_places(client) -> None:
    wanted = [triton.InferRequestedOutput("y", class_count=2)]
    result = client.infer("line", [given("x", ROW)], outputs=wanted, model_version="1")
    assert result.as_numpy("y").tolist() == [[b"9.000000:3", b"7.000000:2"]]


def test_a_handler_takes_bodies(client) -> None:
    output = client.infer("handler", [given("body", np.array([b'{"nonce": 5}'], object))]).as_numpy("body")
    assert b'"answer": 38' in output[0]


def test_values_may_be_typed(stub) -> None:
    contents = {
        "BOOL": {"bool_contents": [True, False]},
        "INT8": {"int_contents": [-128, 127]},
        "INT16": {"int_contents": [-(2**15), 1]},
        "INT32": {"int_contents": [-(2**31), 1]},
        "INT64": {"int64_contents": [-(2**63), 1]},
        "UINT8": {"uint_contents": [0, 255]},
        "UINT16": {"uint_contents": [0, 65535]},
        "UINT32": {"uint_contents": [0, 2**32 - 1]},
        "UINT64": {"uint64_contents": [0, 2**64 - 1]},
        "FP32": {"fp32_contents": [0.5, -1.0]},
        "FP64": {"fp64_contents": [0.1, 1e300]},
        "BYTES": {"bytes_contents": [b"a", b""]},
    }
    request = service.ModelInferRequest(model_name="mirror")
    for name, values in contents.items():
        request.inputs.add(name=name, datatype=name, shape=[1, 2], contents=values)
    for name in ("FP16", "BF16"):
        request.inputs.add(name=name, datatype=name, shape=[1, 2])
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "input byte size mismatch for input 'FP16' for model 'mirror'. Expected 4, got 0" in caught.value.details()
    text = service.ModelInferRequest(model_name="text")
    text.inputs.add(name="text_input", datatype="BYTES", shape=[2], contents={"bytes_contents": [b"a", b"bc"]})
    text.parameters["times"].int64_param = 2
    answer = stub.ModelInfer(text)
    assert [(output.name, list(output.shape)) for output in answer.outputs] == [("text_output", [2]), ("length", [2])]
    assert np.frombuffer(answer.raw_output_contents[1], "<i4").tolist() == [2, 4]


def line_request(**changes: Any) -> Any:
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "contents": {"fp32_contents": [1, 2, 3, 4]}}
    fields: dict[str, Any] = {"model_name": "line", "inputs": [tensor | changes.pop("tensor", {})]}
    return service.ModelInferRequest(**fields | changes)


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown model": ({"model_name": "none"}, "INVALID_ARGUMENT", "Request for unknown model: 'none' is not found"),
    "unknown version": (
        {"model_version": "9"},
        "NOT_FOUND",
        "Request for unknown model: 'line' version 9 is not found",
    ),
    "version that is none": (
        {"model_version": "new"},
        "INVALID_ARGUMENT",
        "failed to get model version from specified version string 'new', version should be an integer > 0",
    ),
    "datatype": (
        {"tensor": {"datatype": "INT32", "contents": {"int_contents": [1, 2, 3, 4]}}},
        "INVALID_ARGUMENT",
        "[request id: <id_unknown>] inference input 'x' data-type is 'INT32', but model 'line' expects 'FP32'",
    ),
    "contents of another datatype": (
        {"tensor": {"contents": {"int_contents": [1, 2, 3, 4]}}},
        "INVALID_ARGUMENT",
        "unexpected explicit tensor data for input tensor 'x' for model 'line' of type 'FP32': it has int_contents, ",
    ),
    "shape": (
        {"tensor": {"shape": [1, 3]}, "id": "9"},
        "INVALID_ARGUMENT",
        "[request id: 9] unexpected shape for input 'x' for model 'line'. Expected [-1,4], got [1,3]",
    ),
    "negative shape": (
        {"tensor": {"shape": [-1, 4]}},
        "INVALID_ARGUMENT",
        "invalid shape for input 'x' for model 'line'",
    ),
    "too few values": (
        {"tensor": {"contents": {"fp32_contents": [1]}}},
        "INVALID_ARGUMENT",
        "[request id: <id_unknown>] input byte size mismatch for input 'x' for model 'line'. Expected 16, got 4",
    ),
    "no values": (
        {"tensor": {"contents": {}}},
        "INVALID_ARGUMENT",
        "[request id: <id_unknown>] input byte size mismatch for input 'x' for model 'line'. Expected 16, got 0",
    ),
    "raw and typed": (
        {"raw_input_contents": [b"\0" * 16]},
        "INVALID_ARGUMENT",
        "contents field must not be specified when using raw_input_contents for 'x' for model 'line'",
    ),
    "too many raw tensors": (
        {"raw_input_contents": [b"\0" * 16, b""]},
        "INVALID_ARGUMENT",
        "expected 1 raw_input_contents, one for each input, but got 2 for model 'line'",
    ),
    "no inputs": (
        {"inputs": []},
        "INVALID_ARGUMENT",
        "[request id: <id_unknown>] expected 1 inputs but got 0 inputs for model 'line'.",
    ),
    "unknown output": (
        {"outputs": [{"name": "z"}]},
        "INVALID_ARGUMENT",
        "[request id: <id_unknown>] unexpected inference output 'z' for model 'line'",
    ),
    "reserved parameter": (
        {"parameters": {"triton_a": {"bool_param": True}}},
        "INVALID_ARGUMENT",
        "parameter keys starting with 'triton_' are reserved for Triton usage and should not be specified.",
    ),
    "shared memory": (
        {"tensor": {"contents": {}, "parameters": {"shared_memory_region": {"string_param": "a"}}}},
        "INVALID_ARGUMENT",
        "shared memory regions of clients are not supported by this server.",
    ),
}


@pytest.mark.parametrize("what", list(WRONG))
def test_a_caller_is_told_what_is_wrong(stub, what: str) -> None:
    changes, status, text = WRONG[what]
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(line_request(**changes))
    assert caught.value.code().name == status
    assert caught.value.details().startswith(text)
    assert stub.ModelInfer(line_request()).model_name == "line"


def test_bytes_that_are_no_message_are_refused(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        for method in ("ModelInfer", "ModelMetadata", "RepositoryIndex"):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/inference.GRPCInferenceService/{method}")(b"\xff\xff")
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_timeout_bounds_a_request(client) -> None:
    word = given("text_input", np.array([b"a"], object))
    status, _ = refused(lambda: client.infer("text", [word], timeout=50_000, parameters={"sleep": 2.0}))
    assert status == "DEADLINE_EXCEEDED"


# Streams


def streamed(client: Any, ask: Callable[[], None], count: int) -> list[Any]:
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put(error or result))
    try:
        ask()
        return [answers.get(timeout=20) for _ in range(count)]
    finally:
        client.stop_stream()


def test_a_stream_answers_each_message_in_its_order(client) -> None:
    rows = [ROW * factor for factor in range(5)]

    def ask() -> None:
        for number, row in enumerate(rows):
            client.async_stream_infer(
                "line", [given("x", row)], request_id=str(number), enable_empty_final_response=True
            )

    answers = streamed(client, ask, len(rows))
    assert [answer.get_response().id for answer in answers] == list("01234")
    assert [answer.as_numpy("y").tolist() for answer in answers] == [(row * 3 + 1).tolist() for row in rows]
    assert all(answer.get_response().parameters["triton_final_response"].bool_param for answer in answers)


def test_what_is_wrong_with_one_message_of_a_stream_does_not_end_it(client) -> None:
    def ask() -> None:
        client.async_stream_infer("none", [given("x", ROW)])
        client.async_stream_infer("line", [given("x", ROW[:, :2])])
        client.async_stream_infer("line", [given("x", ROW)])

    unknown, wrong, right = streamed(client, ask, 3)
    assert "Request for unknown model: 'none' is not found" in str(unknown)
    assert "unexpected shape for input 'x'" in str(wrong)
    assert right.as_numpy("y").tolist() == (ROW * 3 + 1).tolist()


# Sequences


def test_each_sequence_stays_with_one_replica_in_order(client) -> None:
    steps = list(range(1, 5))

    def ask() -> None:
        for step in steps:
            for sequence in range(1, 9):
                client.async_stream_infer(
                    "counter",
                    [given("x", np.array([step * sequence], np.int64))],
                    request_id=f"{sequence}-{step}",
                    sequence_id=sequence,
                    sequence_start=step == steps[0],
                    sequence_end=step == steps[-1],
                )

    answers = streamed(client, ask, 8 * len(steps))
    totals: dict[int, list[int]] = {}
    processes: dict[int, set[int]] = {}
    for answer in answers:
        sequence = int(answer.get_response().id.partition("-")[0])
        totals.setdefault(sequence, []).append(int(answer.as_numpy("total")[0]))
        processes.setdefault(sequence, set()).add(int(answer.as_numpy("process")[0]))
    assert totals == {sequence: [sequence, 3 * sequence, 6 * sequence, 10 * sequence] for sequence in range(1, 9)}
    assert all(len(places) == 1 for places in processes.values())
    assert len(set.union(*processes.values())) == 2


# What it asks beside predictions


def test_the_server_and_its_models_tell_of_themselves(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata().name == "salver"
    assert "statistics" in client.get_server_metadata(as_json=True)["extensions"]
    told = client.get_model_metadata("line")
    assert (told.name, list(told.versions), told.platform) == ("line", ["1", "2"], "onnxruntime_onnx")
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [("x", "FP32", [-1, 4])]
    config = client.get_model_config("line").config
    assert (config.max_batch_size, list(config.input[0].dims), config.backend) == (64, [4], "onnxruntime")
    assert config.version_policy.WhichOneof("policy_choice") == "all"
    assert refused(lambda: client.get_model_metadata("none")) == (
        "INVALID_ARGUMENT",
        "Request for unknown model: 'none' is not found",
    )


def test_a_model_is_ready_or_not(client) -> None:
    assert client.is_model_ready("line")
    assert client.is_model_ready("line", "1")
    assert not client.is_model_ready("line", "9")
    assert not client.is_model_ready("none")


def test_statistics_count_what_was_asked(client) -> None:
    def counted() -> Any:
        (one,) = client.get_inference_statistics("line", "1").model_stats
        return one

    before = counted()
    for rows in (1, 3, 3):
        client.infer("line", [given("x", np.repeat(ROW, rows, axis=0))], model_version="1")
    refused(lambda: client.infer("line", [given("x", ROW[:, :2])], model_version="1"))
    after = counted()
    assert after.inference_count - before.inference_count == 7
    assert after.execution_count - before.execution_count == 3
    times = after.inference_stats
    assert times.success.count - before.inference_stats.success.count == 3
    assert times.fail.count - before.inference_stats.fail.count == 1
    parts = (times.queue, times.compute_input, times.compute_infer, times.compute_output)
    assert abs(sum(part.ns for part in parts) - times.success.ns) < 1000
    assert times.compute_infer.ns > times.queue.ns > 0
    assert {batch.batch_size: batch.compute_infer.count for batch in after.batch_stats}[3] >= 2
    assert after.last_inference > before.last_inference
    assert {each.name for each in client.get_inference_statistics().model_stats} >= {"line", "mirror", "handler"}


def test_a_model_is_unloaded_and_loaded_by_who_may(client, served: Server) -> None:
    assert refused(lambda: client.unload_model("mirror"))[0] == "UNAUTHENTICATED"
    client.load_model("mirror", headers=key(served))
    index = client.get_model_repository_index(headers=key(served)).models
    assert {each.state for each in index if each.name == "mirror"} == {"READY"}
    status, text = refused(lambda: client.load_model("none", headers=key(served)))
    assert (status, text) == ("INVALID_ARGUMENT", "failed to load 'none', failed to poll from model repository")
    files = {"file:1/model.onnx": b"x"}
    load = lambda: client.load_model("mirror", headers=key(served), config="{}", files=files)  # noqa: E731
    assert refused(load)[0] == "UNIMPLEMENTED"


def test_the_log_is_chosen_by_who_may(client, served: Server) -> None:
    assert refused(lambda: client.update_log_settings({"log_info": False}))[0] == "UNAUTHENTICATED"
    try:
        changed = client.update_log_settings({"log_verbose_level": 1}, headers=key(served))
        assert changed.settings["log_verbose_level"].uint32_param == 1
    finally:
        restored = client.update_log_settings({"log_verbose_level": 0}, headers=key(served))
    assert restored.settings["log_info"].bool_param
    assert not restored.settings["log_verbose_level"].uint32_param
    told = client.get_trace_settings(as_json=True)
    assert told["settings"]["trace_level"]["value"] == ["OFF"]
    assert refused(lambda: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}))[0] == "UNIMPLEMENTED"


def test_shared_memory_is_refused(client) -> None:
    for call in (
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        client.unregister_system_shared_memory,
        lambda: client.register_system_shared_memory("a", "/a", 8),
    ):
        status, text = refused(call)
        assert (status, text.startswith("shared memory regions of clients")) == ("UNIMPLEMENTED", True)


def test_the_asynchronous_client_gets_the_same(address: str) -> None:
    async def ask() -> Any:
        async with aio.InferenceServerClient(address) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready("line")
            results = await asyncio.gather(*(client.infer("line", [given("x", ROW)]) for _ in range(8)))

            async def messages() -> Any:
                for number in range(3):
                    yield {"model_name": "line", "inputs": [given("x", ROW * number)], "request_id": str(number)}

            streams = [result.get_response().id async for result, _ in client.stream_infer(messages())]
            return [result.as_numpy("y").tolist() for result in results], streams

    assert asyncio.run(ask()) == ([(ROW * 3 + 1).tolist()] * 8, ["0", "1", "2"])
