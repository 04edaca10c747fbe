"""A server as users of TorchServe run it: keys from the key file, versions, what handlers count, and a restart."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
from google.protobuf import empty_pb2
from journey_originals import ECHO, write_archive
from journey_server import Server, eventually, serving

from salver.wire.torchserve.pb import inference_pb2

COUNTING = """
from ts.metrics.dimension import Dimension
from ts.metrics.metric_type_enum import MetricTypes

def handle(data, context):
    if data is None:
        return None
    context.metrics.add_counter("Words", 2, 0)
    sizes = context.metrics.add_metric_to_cache("Sizes", "MB", ["ModelName"], MetricTypes.HISTOGRAM)
    sizes.add_or_update(0.3, ["counting"])
    context.metrics.get_metric("Loudness", MetricTypes.GAUGE).add_or_update(7, ["Model"])
    context.metrics.add_counter("Silent", 1, 0)
    return ["counted"] * len(data)
"""
DESCRIBING = """
class Handler:
    def initialize(self, context):
        self.context = context

    def handle(self, data, context):
        if context.get_request_header(0, "describe") == "True":
            return [{"labels": ["cat", "dog"]}]
        return ["answer"] * len(data)
"""
METRICS = """
dimensions:
  - &level "Level"
  - &model_name "ModelName"
model_metrics:
  counter:
    - {name: Words, unit: count, dimensions: [*model_name, *level]}
  gauge:
    - {name: Loudness, unit: dB, dimensions: [*level]}
  histogram:
    - {name: Sizes, unit: MB, dimensions: [*model_name]}
"""
WIRES = ("native", "torchserve", "torchserve-management", "torchserve-metrics", "torchserve-grpc")
INFERENCE = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"


class Site:
    """The server, its addresses, and the bearers of its keys."""

    def __init__(self, server: Server) -> None:
        self.server = server
        _, self.inference, self.management, self.metrics, self.grpc = server.urls

    def bearer(self, kind: str) -> dict[str, str]:
        keys = json.loads((self.server.data / "key_file.json").read_text())
        return {"Authorization": f"Bearer {keys[kind]['key']}"}

    def manage(self, method: str, path: str) -> requests.Response:
        return requests.request(method, self.management + path, headers=self.bearer("management"), timeout=60)

    def predict(self, path: str, **options: Any) -> requests.Response:
        return requests.post(self.inference + path, headers=self.bearer("inference"), timeout=60, **options)

    def measured(self) -> dict[str, str]:
        page = requests.get(self.metrics + "/metrics", headers=self.server.admin, timeout=60).text
        return dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("torchserve")
    (folder / "store").mkdir()
    write_archive(folder / "store" / "echo.mar", "echo", "1.0", ECHO)
    write_archive(folder / "store" / "echo-beta.mar", "echo", "1.5-beta", ECHO)
    write_archive(folder / "store" / "counting.mar", "counting", "1.0", COUNTING)
    write_archive(folder / "store" / "describing.mar", "describing", "1.0", DESCRIBING)
    (folder / "metrics.yaml").write_text(METRICS)
    return folder


def started(folder: Path) -> Any:
    doors = ",".join(f"{wire}@127.0.0.1:0" for wire in WIRES)
    return serving(
        folder=folder,
        doors=doors,
        model_store=folder / "store",
        token_authorization=True,
        anonymous="none",
        handler_metrics="prometheus",
        metrics_config=folder / "metrics.yaml",
        heartbeat_s=0.2,
    )


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with started(folder) as server:
        site = Site(server)
        for url in ("echo.mar", "echo-beta.mar", "counting.mar", "describing.mar"):
            site.manage("POST", f"/models?url={url}&initial_workers=1").raise_for_status()
        yield site


def test_nobody_gets_in_without_the_right_key(site: Site) -> None:
    refused = requests.post(f"{site.inference}/predictions/echo", data=b"x", timeout=10)
    assert (refused.status_code, refused.json()["type"]) == (400, "InvalidKeyException")
    wrong = requests.get(f"{site.management}/models", headers=site.bearer("API"), timeout=10)
    assert (wrong.status_code, wrong.json()["type"]) == (400, "InvalidKeyException")
    may_not = requests.delete(f"{site.management}/models/echo", headers=site.bearer("inference"), timeout=10)
    assert may_not.status_code == 400
    assert requests.get(f"{site.inference}/ping", timeout=10).json() == {"status": "Healthy"}


def test_a_key_is_made_anew_and_the_old_one_ends(site: Site) -> None:
    before = site.bearer("inference")
    address = f"{site.management}/token?type=inference"
    assert requests.get(address, headers=site.bearer("API"), timeout=10).status_code == 200
    assert site.bearer("inference") != before
    assert requests.post(f"{site.inference}/predictions/echo", headers=before, timeout=10).status_code == 400
    assert site.predict("/predictions/echo", data=b"x").status_code == 200


def test_curl_predicts_with_a_file(site: Site, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL on this machine")
    (tmp_path / "word.txt").write_text("word")
    header = f"Authorization: {site.bearer('inference')['Authorization']}"
    command = ["curl", "--silent", "-H", header, f"{site.inference}/predictions/echo", "-F", "data=@word.txt"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=30)
    assert json.loads(ran.stdout) == {"data": {"type": "str", "value": "word"}}


def test_each_version_has_its_name_and_its_workers(site: Site) -> None:
    assert site.predict("/predictions/echo/1.5-beta", data=b"x").status_code == 200
    assert site.manage("PUT", "/models/echo/1.5-beta?min_worker=0&synchronous=true").status_code == 200
    beta, first = (site.manage("GET", f"/models/echo/{name}").json()[0] for name in ("1.5-beta", "1.0"))
    assert (beta["workers"], len(first["workers"])) == ([], 1)
    gone = site.predict("/predictions/echo/1.5-beta", data=b"x")
    assert (gone.status_code, gone.json()["type"]) == (503, "ServiceUnavailableException")
    assert site.predict("/predictions/echo", data=b"x").status_code == 200
    assert site.manage("DELETE", "/models/echo").status_code == 403


def test_what_a_handler_counts_is_on_the_metrics_page(site: Site) -> None:
    for _ in range(3):
        site.predict("/predictions/counting", data=b"x").raise_for_status()

    def counted() -> bool:
        found = site.measured()
        words = next((value for series, value in found.items() if series.startswith("Words{")), "0")
        buckets = [series for series in found if series.startswith("Sizes_bucket{")]
        return float(words) == 6.0 and len(buckets) == 15

    eventually(counted, 10, "what the handler counted is on the page")
    names = {series.partition("{")[0]: float(value) for series, value in site.measured().items()}
    assert names["Loudness"] == 7.0
    assert "Silent" not in names


def test_a_handler_says_of_itself_what_it_likes(site: Site) -> None:
    for path, said in (
        ("describing?customized=true", {"labels": ["cat", "dog"]}),
        ("describing/1.0?customized=true", {"labels": ["cat", "dog"]}),
        ("describing/all?customized=true", {"labels": ["cat", "dog"]}),
        ("counting?customized=true", {}),
    ):
        (described,) = site.manage("GET", f"/models/{path}").json()
        assert described["customizedMetadata"] == said
    assert "customizedMetadata" not in site.manage("GET", "/models/describing").json()[0]
    assert site.manage("GET", "/models/describing/9.0?customized=true").status_code == 404


def test_grpc_asks_for_the_same_keys(site: Site) -> None:
    metadata = [(name.lower(), value) for name, value in site.bearer("inference").items()]
    message = inference_pb2.PredictionsRequest(model_name="echo", input={"data": b"x"})
    with grpc.insecure_channel(site.grpc.removeprefix("grpc://")) as channel:
        predict = channel.unary_unary(
            f"{INFERENCE}/Predictions",
            request_serializer=inference_pb2.PredictionsRequest.SerializeToString,
            response_deserializer=inference_pb2.PredictionResponse.FromString,
        )
        assert json.loads(predict(message, metadata=metadata, timeout=30).prediction) == {
            "data": {"type": "bytearray", "value": "x"}
        }
        with pytest.raises(grpc.RpcError) as raised:
            predict(message, timeout=30)
        assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED
        ping = channel.unary_unary(
            f"{INFERENCE}/Ping",
            request_serializer=empty_pb2.Empty.SerializeToString,
            response_deserializer=inference_pb2.TorchServeHealthResponse.FromString,
        )
        assert json.loads(ping(empty_pb2.Empty(), timeout=30).health) == {"status": "Healthy"}
        streamed = channel.stream_stream(
            f"{INFERENCE}/StreamPredictions2",
            request_serializer=inference_pb2.PredictionsRequest.SerializeToString,
            response_deserializer=inference_pb2.PredictionResponse.FromString,
        )
        message.sequence_id = "s"
        answers = list(streamed(iter([message, message]), metadata=metadata, timeout=30))
        assert [answer.sequence_id for answer in answers] == ["s", "s"]


def test_names_and_workers_survive_a_restart(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "store", tmp_path / "store")
    shutil.copy(folder / "metrics.yaml", tmp_path)
    with started(tmp_path) as server:
        site = Site(server)
        assert site.manage("POST", "/models?url=echo.mar&batch_size=3").status_code == 200
        assert site.manage("POST", "/models?url=echo-beta.mar&initial_workers=1").status_code == 200
        assert site.manage("PUT", "/models/echo/1.5-beta/set-default").status_code == 200
    with started(tmp_path) as server:
        site = Site(server)
        (default,) = site.manage("GET", "/models/echo").json()
        (other,) = site.manage("GET", "/models/echo/1.0").json()
        assert (default["modelVersion"], default["minWorkers"]) == ("1.5-beta", 1)
        assert (other["batchSize"], other["workers"]) == (3, [])
