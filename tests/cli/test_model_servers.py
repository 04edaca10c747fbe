"""The commands of MXNet Model Server and TorchServe, as somebody's scripts use them."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests

HANDLER = """
import json, os

def handle(data, context):
    if data is None:
        return None
    for index in range(len(data)):
        context.set_response_content_type(index, "text/plain")
        context.set_response_header(index, "x-batch", str(len(data)))
    return ["%s %d %s" % (context.model_name, len(data), item.get("body")) for item in data]
"""
WITHIN_S = 40.0


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


class Machine:
    """One user's machine: a folder to stand in, one for temporary files, a data directory, and no other settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.store.mkdir()
        self._temporary = folder / "tmp"
        self._temporary.mkdir()
        self.data = folder / "data"
        self.variables: dict[str, str] = {}
        self.started = 0

    @property
    def pid_file(self) -> Path:
        return self._temporary / ".model_server.pid"

    def run(self, *line: str) -> tuple[int, str]:
        """The exit code, and what was printed to standard output."""
        self.started += 1
        out = self.folder / f"out-{self.started}.txt"
        err = self.folder / "err.txt"
        with out.open("wb") as file, err.open("ab") as errors:  # pipes would be held open by the server left behind
            code = subprocess.run(
                [sys.executable, "-m", "salver", *line],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=errors,
                env=self._environment(),
                timeout=WITHIN_S,
                check=False,
            ).returncode
        return code, out.read_text()

    def _environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("SALVER_", "MMS_", "TS_"))}
        return {**plain, "TMPDIR": str(self._temporary), "SALVER_DATA_DIR": str(self.data), **self.variables}

    def printed(self, number: int = 1) -> str:
        return (self.folder / f"out-{number}.txt").read_text()

    def told(self) -> str:
        return (self.folder / "err.txt").read_text()

    def configure(self, *lines: str, name: str = "config.properties") -> None:
        ports = free_ports(5)
        addresses = (
            f"inference_address=http://127.0.0.1:{ports[0]}",
            f"management_address=http://127.0.0.1:{ports[1]}",
            f"metrics_address=http://127.0.0.1:{ports[2]}",
            f"grpc_inference_port={ports[3]}",
            f"grpc_management_port={ports[4]}",
        )
        (self.folder / name).write_text("\n".join((*addresses, *lines, "")))

    def pack(self, name: str, handler: str = HANDLER, **model: Any) -> None:
        with zipfile.ZipFile(self.store / name, "w") as archive:
            archive.writestr("service.py", handler)
            manifest = {"runtime": "python", "model": {"handler": "service:handle", **model}}
            archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))

    @property
    def urls(self) -> list[str]:
        try:
            announced = json.loads((self.data / "server.json").read_text())
        except (OSError, ValueError):
            return []
        return list(announced["urls"])

    def wait(self, healthy: bool = True) -> list[str]:
        """The addresses, once the models of the start are there."""
        urls: list[str] = until(lambda: self.urls, f"no server: {self.told()}")
        if healthy:
            until(lambda: requests.get(urls[0] + "/ping", timeout=5).json() == {"status": "Healthy"}, self.told())
        return urls

    def end(self) -> None:
        if self.pid_file.exists():
            pid = int(self.pid_file.read_text())
            if Path(f"/proc/{pid}").exists() and "salver" in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.end()


# Start and stop


@pytest.mark.parametrize(
    ("command", "running", "stopped", "not_running"),
    [
        (
            "multi-model-server",
            "Model server is already running, please use multi-model-server --stop to stop MMS.\n",
            "Model server stopped.\n",
            "Model server is not currently running.\n",
        ),
        (
            "torchserve",
            "TorchServe is already running, please use torchserve --stop to stop TorchServe.\n",
            "TorchServe has stopped.\n",
            "TorchServe is not currently running.\n",
        ),
    ],
)
def test_a_server_is_started_found_running_and_stopped(
    machine: Machine, command: str, running: str, stopped: str, not_running: str
) -> None:
    machine.pack("noop.mar", modelName="noop", modelVersion="1.0")
    machine.configure("model_store=store", "default_workers_per_model=1", "disable_token_authorization=true")
    config = "--ts-config" if command == "torchserve" else "--mms-config"
    line = (command, "--start", "--models", "noop.mar", "--model-store", "store", config, "config.properties")
    assert machine.run(command, "--stop") == (0, not_running)
    assert machine.run(*line)[0] == 0
    inference, management, *_ = machine.wait()
    until(lambda: "Model server started.\n" in machine.printed(2), "the line that scripts wait for")
    assert machine.run(*line) == (1, running)
    answer = requests.post(inference + "/predictions/noop", data=b"x", timeout=10)
    assert (answer.status_code, answer.text) == (200, "noop 1 bytearray(b'x')")
    assert requests.get(management + "/models", timeout=10).json()["models"][0]["modelName"] == "noop"
    assert machine.run(command, "--stop") == (0, stopped)
    assert not machine.pid_file.exists()
    assert machine.urls == []
    with pytest.raises(requests.ConnectionError):
        requests.get(inference + "/ping", timeout=5)
    assert machine.run(command, "--stop") == (0, not_running)


@pytest.mark.slow
def test_the_old_name_warns_and_no_flag_means_start(machine: Machine) -> None:
    machine.configure()
    assert machine.run("mxnet-model-server") == (
        0,
        "Warning: Calling MMS with mxnet-model-server. Please move to multi-model-server.\n",
    )
    machine.wait()
    assert machine.run("mxnet-model-server", "--stop")[1].endswith("Model server stopped.\n")


def test_a_server_in_the_foreground_ends_with_its_terminal(machine: Machine) -> None:
    machine.configure()
    with (machine.folder / "out.txt").open("wb") as out, (machine.folder / "err.txt").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "salver", "multi-model-server", "--foreground"],
            cwd=machine.folder,
            stdout=out,
            stderr=err,
            env=machine._environment(),
        )
    machine.wait()
    assert int(machine.pid_file.read_text()) == process.pid
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    assert not machine.pid_file.exists()
    assert "Model server started.\n" in (machine.folder / "out.txt").read_text()


def test_the_file_of_a_server_that_died_is_removed(machine: Machine) -> None:
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    machine.pid_file.write_bytes(process.stdout)
    assert machine.run("multi-model-server", "--stop") == (0, "Model server already stopped.\n")
    machine.pid_file.write_bytes(process.stdout)
    assert machine.run("torchserve") == (1, "Removing orphan pid file.\nMissing mandatory parameter --model-store\n")


def test_a_process_that_is_no_server_is_left_alone(machine: Machine) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        machine.pid_file.write_text(str(process.pid))
        assert machine.run("multi-model-server", "--stop") == (0, "Model server is not currently running.\n")
        assert process.poll() is None
        process.kill()


# What the line says


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        (("multi-model-server", "--model-store", "nowhere"), "--model-store directory not found: nowhere\n"),
        (("multi-model-server", "--mms-config", "nowhere"), "--mms-config file not found: nowhere\n"),
        (("multi-model-server", "--models", "a.mar"), "--model-store is required to load model locally.\n"),
        (("torchserve", "--ts-config", "nowhere"), "--ts-config file not found: nowhere\n"),
        (("torchserve",), "Missing mandatory parameter --model-store\n"),
        (
            ("torchserve", "--model-store", "store", "--workflow-store", "nowhere"),
            "--workflow-store directory not found: nowhere\n",
        ),
    ],
)
def test_a_line_that_cannot_be_followed_gets_the_originals_words(
    machine: Machine, line: tuple[str, ...], printed: str
) -> None:
    assert machine.run(*line) == (1, printed)
    assert not machine.pid_file.exists()


def test_a_log_configuration_that_is_missing_is_told(machine: Machine) -> None:
    code, printed = machine.run("multi-model-server", "--log-config", "nowhere.xml")
    assert (code, printed) == (1, f"--log-config file not found: {machine.folder / 'nowhere.xml'}\n")


@pytest.mark.parametrize("line", [("--start", "--stop"), ("--bogus",), ("--models",)])
def test_flags_that_do_not_fit_end_with_2_and_the_usage(machine: Machine, line: tuple[str, ...]) -> None:
    assert machine.run("multi-model-server", *line)[0] == 2
    assert "usage: multi-model-server" in machine.told()


@pytest.mark.parametrize(("command", "flag"), [("torchserve", "--plugins-path"), ("mxnet-model-server", "--service")])
def test_a_flag_that_cannot_be_followed_is_refused_with_the_way_out(machine: Machine, command: str, flag: str) -> None:
    assert machine.run(command, "--model-store", "store", flag, "x")[0] == 2
    assert f"{flag} cannot be followed" in machine.told()
    assert f"Start without {flag}." in machine.told()


def test_torchserve_tells_a_version(machine: Machine) -> None:
    code, printed = machine.run("torchserve", "--version")
    assert code == 0
    assert printed.startswith("TorchServe Version is 0.12.0")


# What the file says


@pytest.mark.slow
def test_the_models_of_the_start_have_their_names_workers_and_batches(machine: Machine) -> None:
    machine.pack("named.mar", modelName="own")
    machine.pack("my-net v2.mar")
    machine.pack("batched.mar", modelName="batched", modelVersion="1.0")
    (machine.store / "broken.mar").write_bytes(b"no zip")
    (machine.store / "notes.txt").write_text("not an archive")
    table = {"batched": {"1.0": {"minWorkers": 1, "batchSize": 4, "maxBatchDelay": 2000}}}
    lines = ("default_workers_per_model=2", "load_models=ALL", "disable_token_authorization=true")
    machine.configure(*lines, f"models={json.dumps(table)}")
    assert machine.run("torchserve", "--start", "--model-store", "store", "--ts-config", "config.properties")[0] == 0
    inference, management, *_ = machine.wait()
    models = requests.get(management + "/models", timeout=10).json()["models"]
    assert [model["modelName"] for model in models] == ["batched", "my_net_v2", "own"]
    assert "broken.mar" in machine.printed()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        calls = [pool.submit(requests.post, inference + "/predictions/batched", b"x") for _ in range(4)]
    assert {call.result().headers["x-batch"] for call in calls} == {"4"}
    assert requests.post(inference + "/predictions/own", b"x", timeout=10).headers["x-batch"] == "1"


@pytest.mark.slow
def test_what_a_file_sets_can_come_from_the_environment(machine: Machine) -> None:
    machine.pack("noop.mar", modelName="noop")
    lines = ("model_store=$$STORE$$", "default_workers_per_model=1", "enable_envvars_config=true")
    machine.configure(*lines, name="mms.conf")
    machine.variables = {"STORE": "store", "MMS_LOAD_MODELS": "renamed=noop.mar", "MMS_CONFIG_FILE": "mms.conf"}
    assert machine.run("multi-model-server", "--mms-config", "ignored.properties")[0] == 0
    inference, *_ = machine.wait()
    assert requests.post(inference + "/predictions/renamed", b"x", timeout=10).text == "renamed 1 bytearray(b'x')"


def test_a_variable_that_is_missing_stops_the_start(machine: Machine) -> None:
    machine.configure("model_store=$$STORE$$")
    assert machine.run("multi-model-server")[0] == 2
    assert "model_store needs the variable STORE, which is not set" in " ".join(machine.told().split())


@pytest.mark.slow
def test_one_address_answers_both_apis_and_a_socket_answers_too(machine: Machine) -> None:
    socket_path = machine.folder / "mms.sock"
    (machine.folder / "config.properties").write_text(
        f"inference_address=unix:{socket_path}\nmanagement_address=unix:{socket_path}\n"
    )
    assert machine.run("multi-model-server")[0] == 0
    until(socket_path.exists, machine.told())
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path)), base_url="http://localhost") as client:
        assert client.get("/ping").json() == {"status": "Healthy"}
        assert client.get("/models").json() == {"models": []}
    assert machine.run("multi-model-server", "--stop")[1] == "Model server stopped.\n"
    assert not socket_path.exists()


@pytest.mark.slow
def test_the_configuration_for_sagemaker_serves_at_one_port(machine: Machine) -> None:
    machine.pack("noop.mar", modelName="noop")
    machine.variables = {
        "SAGEMAKER_MODEL_STORE": "store",
        "SAGEMAKER_BIND_TO_PORT": "0",
        "SAGEMAKER_RESPONSE_TIMEOUT": "20",
        "SAGEMAKER_NUM_MODEL_WORKERS": "1",
        "SAGEMAKER_HANDLER": "service:handle",
        "SAGEMAKER_MAX_RESPONSE_SIZE": "1000000",
        "SAGEMAKER_MAX_REQUEST_SIZE": "1000",
    }
    assert machine.run("multi-model-server", "--mms-config", "sagemaker", "--models", "noop.mar", "--start")[0] == 0
    url = machine.wait()[0].replace("0.0.0.0", "127.0.0.1")
    headers = {"Content-Type": "application/json"}
    answer = requests.post(url + "/invocations", b'{"a": 1}', headers=headers, timeout=10)
    assert answer.text == "noop 1 bytearray(b'{\"a\": 1}')"
    assert requests.post(url + "/invocations", b"x" * 1001, timeout=10).status_code == 413


@pytest.mark.slow
def test_an_address_that_others_reach_is_opened_and_told(machine: Machine) -> None:
    machine.configure()
    config = machine.folder / "config.properties"
    config.write_text(config.read_text().replace("127.0.0.1", "0.0.0.0"))
    assert machine.run("multi-model-server")[0] == 0
    machine.wait()
    told = " ".join(machine.printed().split())
    assert "other machines reach this server by plain HTTP" in told
    assert "callers on other machines need a key" in told


@pytest.mark.slow
def test_a_line_of_mms_0_4_serves_what_lies_anywhere_at_one_port(machine: Machine) -> None:
    machine.pack("noop.mar", modelName="noop")
    line = ("mxnet-model-server", "--models", "old=store/noop.mar", "--port", "0", "--host", "127.0.0.1", "--gpu", "0")
    assert machine.run(*line)[0] == 0
    (url,) = machine.wait()
    assert requests.post(url + "/old/predict", b"x", timeout=10).text == "old 1 bytearray(b'x')"
    assert "--gpu does nothing" in " ".join(machine.printed().split())


@pytest.mark.slow
def test_a_snapshot_of_torchserve_starts_its_models(machine: Machine) -> None:
    machine.pack("m1.mar", modelName="m", modelVersion="1.0")
    machine.pack("m2.mar", modelName="m", modelVersion="2.0")
    rows = {"minWorkers": 1, "maxWorkers": 1, "batchSize": 1, "maxBatchDelay": 100, "responseTimeout": 120}
    versions = {
        "1.0": {"defaultVersion": True, "marName": "m1.mar", **rows},
        "2.0": {"defaultVersion": False, "marName": "m2.mar", **rows},
    }
    snapshot = {"name": "startup.cfg", "modelCount": 1, "models": {"m": versions}}
    machine.configure("disable_token_authorization=true", f"model_snapshot={json.dumps(snapshot)}")
    assert machine.run("torchserve", "--model-store", "store", "--ts-config", "config.properties", "--ncs")[0] == 0
    inference, *_ = machine.wait()
    for path in ("/predictions/m", "/predictions/m/1", "/predictions/m/2"):
        assert requests.post(inference + path, b"x", timeout=10).text == "m 1 bytearray(b'x')"
