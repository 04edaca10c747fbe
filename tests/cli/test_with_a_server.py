"""The commands against a real server with a real model, started once for this file."""

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from salver_client import Client

READY_S = 30.0


class Served:
    """A running `salver serve`: what it printed so far, and its data directory."""

    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process = process
        self.data = data
        self.lines: list[str] = []
        self._has_commands = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line.lstrip().startswith("# mms"):
                self._has_commands.set()

    @property
    def url(self) -> str:
        return next(line.split()[1] for line in self.lines if line.startswith("serving"))

    @property
    def commands(self) -> dict[str, str]:
        """The printed commands by wire."""
        pairs = zip(self.lines, self.lines[1:], strict=False)
        return {name.split()[1]: text.strip() for name, text in pairs if re.match(r" +# \w+$", name)}

    def wait_for_commands(self) -> None:
        assert self._has_commands.wait(READY_S), "\n".join(self.lines)
        with Client(self.url) as client:
            client.wait_ready(READY_S)

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "parrot.echo").touch()
    command = [
        sys.executable,
        "-m",
        "salver",
        "serve",
        "parrot.echo",
        "--port",
        "0",
        "--data-dir",
        "d",
        "--access-log",
        "off",
    ]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    running = Served(process, folder / "d")
    try:
        running.wait_for_commands()
        yield running
    finally:
        if process.poll() is None:
            running.stop()


@pytest.fixture(autouse=True)
def _at_the_servers_data_directory(served, monkeypatch):
    monkeypatch.setenv("SALVER_DATA_DIR", str(served.data))


def test_the_start_tells_which_settings_were_chosen_and_where(served):
    line = next(line for line in served.lines if line.startswith("settings"))
    assert line == "settings port 0 (--port), access_log off (--access-log), data_dir d (--data-dir)"


def test_models_are_listed_without_naming_an_address(run):
    header, row = run("models").out.splitlines()
    assert header.split() == ["MODEL", "VERSION", "STATE", "REPLICAS", "RUNTIME", "LABELS", "WEIGHT", "REASON"]
    assert row.split() == ["parrot", "1", "(default)", "READY", "1/1", "echo"]


def test_models_are_listed_as_json(run, served):
    (model,) = json.loads(run("models", "--json", "--url", served.url).out)
    assert (model["name"], model["default_version"]) == ("parrot", 1)


def test_one_model_is_described_with_its_signature_and_its_process(run):
    text = run("models", "parrot").out
    assert text.startswith("parrot version 1: READY")
    assert "x FP32 [n, n] → x FP32 [n, n]" in text
    assert re.search(r"replica +\S+ pid \d+ READY, 0 restarts", text)


def test_a_model_that_does_not_exist_is_an_error(run):
    ran = run("models", "nobody")
    assert ran.code == 1
    assert "nobody" in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1].startswith("  fix: ")


def test_a_prediction_is_shown_by_output(run):
    ran = run("predict", "parrot", "--input", "[[1.0, 2.5]]")
    assert (ran.code, ran.out) == (0, "x: [[1.0, 2.5]]\n")


def test_a_prediction_is_shown_as_json(run):
    document = json.loads(run("predict", "parrot", "--input", '{"x": [[1, 2]]}', "--json").out)
    assert document == {"model": "parrot", "version": 1, "outputs": {"x": [[1.0, 2.0]]}}


def test_a_wrong_input_is_told_by_the_server(run):
    ran = run("predict", "parrot", "--input", '["a"]')
    assert ran.code == 1
    assert ran.err.startswith("error: ")


def test_without_an_input_the_signature_is_told(run):
    ran = run("predict", "parrot")
    assert ran.code == 1
    assert "It takes: x FP32 [n, n]" in ran.err


def test_keys_are_made_at_the_running_server_and_work_at_once(run, served):
    key = run("keys", "create", "--label", "test", "--role", "viewer").out.strip()
    assert run("models", "--url", served.url, "--key", key).code == 0
    refused = run("predict", "parrot", "--input", "[[1]]", "--url", served.url, "--key", key)
    assert refused.code == 1
    id = key.split("_")[1]
    assert run("keys", "revoke", id).code == 0
    assert run("models", "--url", served.url, "--key", key).code == 1


def test_doctor_tells_that_a_server_runs(run):
    ran = run("doctor", "--port", "0")
    assert ran.code == 0
    assert "is in use by a running server" in ran.out


def test_a_second_server_on_the_data_directory_says_who_holds_it(run, served, tmp_path):
    (tmp_path / "other.echo").touch()
    ran = run("serve", "other.echo", "--port", "0")
    assert ran.code == 2
    assert f"process {served.process.pid} at {served.url}" in ran.err


@pytest.mark.parametrize("wire", ["native", "tfserving", "mms", "openinference"])
def test_the_printed_commands_work_when_pasted(served, wire):
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    ran = subprocess.run(
        ["bash", "-c", served.commands[wire].replace("curl ", "curl --silent --show-error --fail ", 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "0.0" in ran.stdout


def test_a_terminated_server_says_so_and_ends_with_0(served):
    assert served.stop() == 0
    assert served.lines[-2].startswith("stopping SIGTERM was received")
    assert served.lines[-1].strip() == "stopped"
