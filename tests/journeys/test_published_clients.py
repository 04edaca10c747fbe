"""Clients that were written for other servers, run as their authors show it, against one model folder."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from journey_pictures import CLASSES, PROBABILITIES, squeezenet_folder
from journey_server import Server, serving

PUBLISHED_PORTS = (8080, 8081, 8501)


class Served(NamedTuple):
    """The model's server, and where the two clients expect it."""

    server: Server
    tfserving: str
    mms: str
    where: str


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Served]:
    """On the published ports where they are free; otherwise all protocols at one free port."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("published")
    model = squeezenet_folder(folder / "squeezenet", test_data)
    taken = [port for port in PUBLISHED_PORTS if is_taken(port)]
    if taken:
        with serving(model, folder=folder) as server:
            yield Served(server, server.url, server.url, f"all at {server.url}, since {taken} are taken")
    else:
        with serving(model, folder=folder, port=8080, compat="tfserving,mms") as server:
            yield Served(server, "http://127.0.0.1:8501", "http://127.0.0.1:8080", "at the published ports")


def is_taken(port: int) -> bool:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


def test_the_example_client_of_tensorflow_serving(served, test_data, figure):
    """The loop of the published client: the picture as base64 in a row, some to warm up, then timed ones."""
    picture = base64.b64encode((test_data / "images" / "kitten.jpg").read_bytes()).decode()
    body = json.dumps({"instances": [{"b64": picture}]})
    url = f"{served.tfserving}/v1/models/squeezenet:predict"
    for _ in range(3):
        requests.post(url, data=body, timeout=30).raise_for_status()
    seconds = []
    for _ in range(100):
        response = requests.post(url, data=body, timeout=30)
        response.raise_for_status()
        seconds.append(response.elapsed.total_seconds())
        prediction = response.json()["predictions"][0]
        assert prediction["classes"][:3] == CLASSES
        assert prediction["probabilities"][:3] == pytest.approx(PROBABILITIES, abs=0.001)
    average = statistics.mean(seconds)
    print(f"Prediction class: {prediction['classes'][0]}, average latency: {1000 * average:.1f} ms")
    figure(f"{prediction['classes'][:3]}, average latency {1000 * average:.1f} ms of 100, {served.where}")


def test_the_command_of_the_readme_of_mxnet_model_server(served, test_data, tmp_path, figure):
    """`curl -X POST .../predictions/NAME -T kitten.jpg`, from the folder of the picture."""
    if shutil.which("curl") is None:
        pytest.skip("NO CURL on this machine")
    shutil.copy(test_data / "images" / "kitten.jpg", tmp_path)
    command = ["curl", "--silent", "-X", "POST", f"{served.mms}/predictions/squeezenet", "-T", "kitten.jpg"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60)
    answer = json.loads(ran.stdout)
    assert [set(row) for row in answer] == [{"class", "probability"}] * 5
    assert [row["class"] for row in answer[:3]] == CLASSES
    probabilities = [row["probability"] for row in answer]
    assert probabilities[:3] == pytest.approx(PROBABILITIES, abs=0.001)
    assert probabilities == sorted(probabilities, reverse=True)
    assert ran.stdout.endswith(b"\n")
    figure(f"{[(row['class'], round(row['probability'], 3)) for row in answer[:3]]}, {served.where}")
