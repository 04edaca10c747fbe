"""The client of Triton Inference Server, as it comes from the package index: every call that this server answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests
from journey_formats import HANDLER_FUNCTION, archive, write_line
from journey_models import write_model
from journey_server import Server, eventually, serving

triton = pytest.importorskip("tritonclient.http")
aio = pytest.importorskip("tritonclient.http.aio")
utils = pytest.importorskip("tritonclient.utils")
bfloat16 = pytest.importorskip("ml_dtypes").bfloat16

SCALE = """
import numpy as np

SIGNATURE = {
    "inputs": [
        {"name": "x", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "word", "datatype": "BYTES", "shape": [-1]},
    ],
    "outputs": [
        {"name": "y", "datatype": "FP32", "shape": [-1, 3]},
        {"name": "words", "datatype": "BYTES", "shape": [-1]},
    ],
}

def predict(x: np.ndarray, word: np.ndarray, scale: float = 2.0):
    return {"y": x * np.float32(scale), "words": np.array([each + b"!" for each in word], object)}
"""
MIRROR = """
import numpy as np

NAMES = ["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64"]
SPECS = [{"name": name, "datatype": name, "shape": [-1, 2]} for name in [*NAMES, "BYTES"]]
WIDE = {"name": "wide", "datatype": "FP32", "shape": [-1, 2]}
SIGNATURE = {"inputs": [*SPECS, {"name": "BF16", "datatype": "BF16", "shape": [-1, 2]}], "outputs": [*SPECS, WIDE]}

def predict(**inputs):
    wide = inputs.pop("BF16")
    return {**inputs, "wide": wide}
"""
X = np.arange(6, dtype=np.float32).reshape(2, 3)
WORDS = np.array([b"a", "é".encode()], object)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A function with options, one with all datatypes, a handler that takes bodies, and a model of two versions."""
    folder = tmp_path_factory.mktemp("triton")
    scale = write_model(folder / "scale", SCALE)
    mirror = write_model(folder / "mirror", MIRROR)
    for version, slope in ((1, 2.0), (2, 3.0)):
        write_line(folder / "line" / str(version) / "model.onnx", slope, 1.0)
    handler = archive(folder / "handler.mar", HANDLER_FUNCTION, "service:handle").path
    with serving(scale, mirror, folder / "line", handler, folder=folder, max_body_mb=4, watch_s=60) as server:
        all_versions = {"policy": "all"}
        path = f"{server.url}/api/v1/models/line/policy"
        requests.put(path, json=all_versions, headers=server.admin, timeout=60).raise_for_status()
        yield server


@pytest.fixture
def client(served: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(served.url.removeprefix("http://")) as made:
        yield made


def given(name: str, values: Any, *, is_binary: bool = True, datatype: str = "") -> Any:
    made = triton.InferInput(name, list(values.shape), datatype or utils.np_to_triton_dtype(values.dtype))
    made.set_data_from_numpy(values, binary_data=is_binary)
    return made


def scaled(*, is_binary: bool = True) -> list[Any]:
    return [given("x", X, is_binary=is_binary), given("word", WORDS, is_binary=is_binary)]


def texts(values: Any) -> list[bytes]:
    return [each if isinstance(each, bytes) else each.encode() for each in values.tolist()]


@pytest.mark.parametrize("is_sent_raw", [True, False])
@pytest.mark.parametrize("is_answered_raw", [True, False])
def test_arrays_go_and_come_in_either_form(client, is_sent_raw: bool, is_answered_raw: bool) -> None:
    wanted = [triton.InferRequestedOutput(name, binary_data=is_answered_raw) for name in ("words", "y")]
    result = client.infer("scale", scaled(is_binary=is_sent_raw), outputs=wanted, request_id="7")
    assert result.as_numpy("y").tolist() == (X * 2).tolist()
    assert texts(result.as_numpy("words")) == [b"a!", "é!".encode()]
    told = result.get_response()
    assert (told["id"], told["model_name"], told["model_version"]) == ("7", "scale", "1")
    assert [output["name"] for output in told["outputs"]] == ["words", "y"]


def test_without_a_wish_all_outputs_come_raw(client) -> None:
    told = client.infer("scale", scaled()).get_response()
    assert {output["name"]: "data" in output for output in told["outputs"]} == {"y": False, "words": False}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_bodies_may_be_compressed(client, encoding: str) -> None:
    result = client.infer("scale", scaled(), request_compression_algorithm=encoding)
    assert result.as_numpy("y").tolist() == (X * 2).tolist()


def test_parameters_are_a_functions_options(client) -> None:
    assert client.infer("scale", scaled(), parameters={"scale": 5.0}).as_numpy("y").tolist() == (X * 5).tolist()
    assert client.infer("scale", scaled(), sequence_id=3, priority=1).as_numpy("y").tolist() == (X * 2).tolist()


def test_every_datatype_there_and_back(client) -> None:
    arrays = {
        utils.np_to_triton_dtype(np.dtype(kind)): np.array([[0, 1]], kind)
        for kind in ("?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    }
    arrays["BYTES"] = np.array([[b"", b"\xff\x00"]], object)
    inputs = [given(name, array) for name, array in arrays.items()]
    wide = np.array([[1.5, -2.0]], bfloat16)
    result = client.infer("mirror", [*inputs, given("BF16", wide, datatype="BF16")])
    for name, array in arrays.items():
        found = result.as_numpy(name)
        assert (found.dtype, found.tolist()) == (array.dtype, array.tolist())
    assert result.as_numpy("wide").tolist() == wide.tolist()


def test_a_version_is_asked_by_its_number(client) -> None:
    row = np.array([[1, 2, 3, 4]], np.float32)
    for version, slope in (("1", 2), ("2", 3), ("", 3)):
        result = client.infer("line", [given("x", row)], model_version=version)
        assert result.as_numpy("y").tolist() == (row * slope + 1).tolist()
        assert result.get_response()["model_version"] == (version or "2")


def test_large_inputs_go_through_shared_memory(client) -> None:
    rows = np.random.default_rng(7).random((40_000, 4), np.float32)
    for _ in range(4):  # the length of the JSON, and with it the place of the values, is another one each time
        result = client.infer("line", [given("x", rows)], request_id="7" * (1 + _))
        assert np.array_equal(result.as_numpy("y"), rows * 3 + 1)


def test_a_handler_takes_bodies(client) -> None:
    body = np.array([b'{"nonce": 5}'], object)
    for is_binary in (True, False):
        output = client.infer("handler", [given("body", body, is_binary=is_binary)]).as_numpy("body")
        assert b'"answer": 38' in texts(output)[0]


def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(utils.InferenceServerException) as caught:
        call()
    return str(caught.value.status()), caught.value.message()


def wrong_requests(client: Any) -> dict[str, tuple[Any, str, str]]:
    """What is wrong, the call, and what the caller hears."""
    word = given("word", WORDS)
    unknown = "[request id: <id_unknown>] "
    return {
        "datatype": (
            lambda: client.infer("scale", [given("x", X.astype(np.int32)), word]),
            "400",
            f"{unknown}inference input 'x' data-type is 'INT32', but model 'scale' expects 'FP32'",
        ),
        "shape": (
            lambda: client.infer("scale", [given("x", X[:, :2]), word], request_id="9"),
            "400",
            "[request id: 9] unexpected shape for input 'x' for model 'scale'. Expected [-1,3], got [2,2]",
        ),
        "missing input": (
            lambda: client.infer("scale", [word]),
            "400",
            f"{unknown}expected 2 inputs but got 1 inputs for model 'scale'. Got input(s) ['word'], but missing",
        ),
        "unknown output": (
            lambda: client.infer("scale", scaled(), outputs=[triton.InferRequestedOutput("z")]),
            "400",
            f"{unknown}unexpected inference output 'z' for model 'scale'",
        ),
        "unknown model": (
            lambda: client.infer("none", scaled()),
            "400",
            "Request for unknown model: 'none' is not found",
        ),
        "unknown version": (
            lambda: client.infer("scale", scaled(), model_version="9"),
            "404",
            "Request for unknown model: 'scale' version 9 is not found",
        ),
        "option": (
            lambda: client.infer("scale", scaled(), parameters={"scale": "much"}),
            "400",
            "",
        ),
    }


@pytest.mark.parametrize("what", list(wrong_requests(None)))
def test_a_client_is_told_what_is_wrong(client, what: str) -> None:
    call, status, text = wrong_requests(client)[what]
    told = refused(call)
    assert told[0] == status
    assert told[1].startswith(text)


def test_what_is_too_large_is_refused(client) -> None:
    rows = np.zeros((400_000, 4), np.float32)
    assert refused(lambda: client.infer("line", [given("x", rows)]))[0] == "413"


def test_the_asynchronous_client_gets_the_same(served: Server) -> None:
    async def ask() -> Any:
        async with aio.InferenceServerClient(served.url.removeprefix("http://")) as client:
            results = await asyncio.gather(*(client.infer("scale", scaled()) for _ in range(8)))
            return [result.as_numpy("y").tolist() for result in results]

    assert asyncio.run(ask()) == [(X * 2).tolist()] * 8


# What it asks beside predictions


def test_the_server_and_its_models_tell_of_themselves(client) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.get_server_metadata()["name"] == "salver"
    told = client.get_model_metadata("scale")
    assert (told["name"], told["versions"], told["platform"]) == ("scale", ["1"], "function")
    assert told["inputs"][0] == {"name": "x", "datatype": "FP32", "shape": [-1, 3]}
    assert client.get_model_metadata("line", "1")["versions"] == ["1"]
    assert client.get_model_metadata("line")["versions"] == ["1", "2"]
    assert client.get_model_metadata("handler")["inputs"] == [{"name": "body", "datatype": "BYTES", "shape": [1]}]
    config = client.get_model_config("line")
    assert (config["max_batch_size"], config["input"][0]["dims"], config["platform"]) == (64, [4], "onnxruntime_onnx")


def test_a_model_is_ready_or_not(client) -> None:
    assert client.is_model_ready("line")
    assert client.is_model_ready("line", "1")
    assert not client.is_model_ready("line", "9")
    assert not client.is_model_ready("none")


def test_the_highest_values_with_their_places(client) -> None:
    row = np.array([[1, 4, 2, 3]], np.float32)
    for is_binary in (True, False):
        wanted = triton.InferRequestedOutput("y", binary_data=is_binary, class_count=2)
        result = client.infer("line", [given("x", row)], outputs=[wanted], model_version="1")
        assert result.as_numpy("y").shape == (1, 2)
        assert texts(result.as_numpy("y")[0]) == [b"9.000000:1", b"7.000000:3"]


def test_a_model_is_unloaded_and_loaded(client, served: Server) -> None:
    """Only by who may: an index is for all to see here, a change is not."""

    def state() -> list[str]:
        entries = client.get_model_repository_index(headers=served.admin)
        return [entry.get("state", "") for entry in entries if entry["name"] == "scale"]

    assert state() == ["READY"]
    assert refused(lambda: client.unload_model("scale"))[0] == "401"
    client.unload_model("scale", headers=served.admin)
    eventually(lambda: state() in ([], ["UNAVAILABLE"]), 20.0, f"it is unloaded: {state()}")
    assert not client.is_model_ready("scale")
    status, text = refused(lambda: client.infer("scale", scaled()))
    assert (status, text) == ("404", "Request for unknown model: 'scale' has no available versions")
    client.load_model("scale", headers=served.admin)
    assert state() == ["READY"]
    assert client.infer("scale", scaled()).as_numpy("y").tolist() == (X * 2).tolist()
    assert refused(lambda: client.load_model("none", headers=served.admin)) == (
        "400",
        "failed to load 'none', failed to poll from model repository",
    )


def test_shared_memory_is_not_supported_and_that_is_said(client) -> None:
    for call in (
        client.get_system_shared_memory_status,
        client.get_cuda_shared_memory_status,
        lambda: client.register_system_shared_memory("a", "/a", 8),
    ):
        status, text = refused(call)
        assert (status, bool(text)) == ("501", True)
    with_region = triton.InferInput("x", [1, 4], "FP32")
    with_region.set_shared_memory("a", 16)
    assert refused(lambda: client.infer("line", [with_region]))[1].startswith("shared memory regions of clients")


def test_the_asynchronous_client_asks_the_same(served: Server) -> None:
    async def ask() -> Any:
        async with aio.InferenceServerClient(served.url.removeprefix("http://")) as client:
            assert await client.is_server_ready()
            assert await client.is_model_ready("line")
            with pytest.raises(utils.InferenceServerException, match="is not found"):
                await client.get_model_metadata("none")
            return await client.get_model_metadata("line"), await client.get_model_repository_index(
                headers=served.admin
            )

    metadata, index = asyncio.run(ask())
    assert metadata["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}]
    assert {entry["name"] for entry in index} >= {"line", "handler", "mirror"}
