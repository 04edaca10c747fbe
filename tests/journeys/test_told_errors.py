"""What goes wrong at users' hands: each time the cause, what to do, and an exit code or a status that says so."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import requests
from journey_models import SEVEN, write_model
from journey_server import Server, eventually, plain_environment, serving
from journey_wires import MMS, NATIVE, TFSERVING, WIRES

CANNOT_START = 2
ADDS = "def predict(x: float) -> float:\n    return x + 1\n"


class Told(NamedTuple):
    """How a command ended: its exit code, the cause and the fix."""

    code: int
    cause: str
    fix: str


def refused(folder: Path, *arguments: str, **variables: str) -> Told:
    """Runs `salver serve` that cannot start, in the folder; what it told on standard error, in two lines."""
    ran = subprocess.run(
        [sys.executable, "-m", "salver", "serve", *arguments],
        cwd=folder,
        env={**plain_environment(), "SALVER_DATA_DIR": str(folder / "d"), **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("{")]
    assert [line.split(":")[0] for line in lines] == ["error", "  fix"], ran.stderr
    return Told(ran.returncode, *(line.partition(": ")[2] for line in lines))


def test_a_path_that_is_not_there(tmp_path):
    write_model(tmp_path / "digits", ADDS)
    told = refused(tmp_path, "digit")
    assert told == (CANNOT_START, "there is no file or folder digit", "Did you mean digits?")


def test_a_file_in_no_known_format(tmp_path):
    (tmp_path / "model.xyz").write_bytes(b"\x00\x01\x02 what is this")
    told = refused(tmp_path, "model.xyz")
    assert told.code
    assert re.match(r"model\.xyz is in no known format: \d+ bytes, ending \.xyz, beginning with 00 01 02", told.cause)
    assert "ONNX" in told.fix


def test_a_format_that_is_known_and_not_served(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    told = refused(tmp_path, "weights.h5")
    assert told.code
    assert "a file of weights without the model" in told.cause
    assert "Save the whole model" in told.fix


BROKEN_MANIFESTS = {
    'name = "adds"\nreplicas = \n': ("line 2", ""),
    'name = "adds"\nreplicass = 2\n': ("line 2", "replicas"),
    'name = "adds"\n[batching]\nmax_batch_rows = 0\n': ("line 3", "max_batch_rows"),
}


@pytest.mark.parametrize("text", BROKEN_MANIFESTS)
def test_a_model_toml_that_cannot_be_meant(tmp_path, text):
    write_model(tmp_path / "adds", ADDS)
    (tmp_path / "adds" / "model.toml").write_text(text)
    told = refused(tmp_path, "adds")
    place, word = BROKEN_MANIFESTS[text]
    assert told.code
    assert "model.toml" in told.cause
    assert place in told.cause
    assert word in told.cause
    assert told.fix


def test_a_port_that_is_taken(tmp_path):
    write_model(tmp_path / "adds", ADDS)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        told = refused(tmp_path, "adds", "--port", str(port))
    assert told.code == CANNOT_START
    assert f"Port {port} on 127.0.0.1 is taken by process {os.getpid()} (" in told.cause
    assert "--port" in told.fix


def test_a_port_of_another_protocol_that_is_taken_is_named_too(tmp_path):
    write_model(tmp_path / "adds", ADDS)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", 8501))
        except OSError:
            pytest.skip("PORT 8501 is taken on this machine")
        sock.listen()
        told = refused(tmp_path, "adds", "--port", "0", "--compat", "tfserving")
    assert told.code == CANNOT_START
    assert "Port 8501" in told.cause


def test_a_second_server_on_the_same_data_directory(server, seven, tmp_path):
    with server(seven(name="seven")) as running:
        told = refused(tmp_path, "seven", "--port", "0", "--data-dir", str(running.data))
        assert told.code == CANNOT_START
        assert f"process {running.pid} at {running.url}" in told.cause
        assert "--data-dir" in told.fix
        assert running.is_ready()


def test_an_address_that_other_machines_reach(tmp_path):
    write_model(tmp_path / "adds", ADDS)
    told = refused(tmp_path, "adds", "--host", "0.0.0.0")
    assert told.code == CANNOT_START
    assert "0.0.0.0 can be reached from other machines" in told.cause
    assert "--insecure" in told.fix


def test_a_flag_that_does_not_exist(tmp_path):
    told = refused(tmp_path, "adds", "--prot", "9000")
    assert told.code == CANNOT_START
    assert "--prot" in told.cause
    assert "--port" in told.cause


def test_a_setting_that_does_not_exist_in_the_file(tmp_path):
    (tmp_path / "salver.toml").write_text("[net]\nprot = 9000\n")
    told = refused(tmp_path, "adds")
    assert told.code == CANNOT_START
    assert "prot" in told.cause
    assert "salver.toml" in told.cause


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        (("--port", "many"), {}, ("--port", "many")),
        ((), {"SALVER_PORT": "many"}, ("SALVER_PORT", "many")),
    ],
)
def test_a_value_that_does_not_fit_its_setting(tmp_path, arguments, variables, words):
    told = refused(tmp_path, "adds", *arguments, **variables)
    assert told.code == CANNOT_START
    assert all(word in told.cause for word in words), told
    assert told.fix


# What fails while the server runs: it goes on, and says why in every place where one may look


FAILING = {
    "missing package": (
        "print('loading the weights')\nimport nothing_of_that_name\n" + ADDS,
        {},
        r"nothing_of_that_name",
    ),
    "exception": (
        "print('loading the weights')\nraise RuntimeError('the file weights.bin is not there')\n" + ADDS,
        {},
        r"RuntimeError: the file weights\.bin is not there",
    ),
    "syntax": (
        "print('loading the weights')\ndef predict(x: float) -> float:\n    return (x\n",
        {},
        r"SyntaxError: .* \(app\.py, line 3: return \(x\)",
    ),
    "other function": ("print('loading the weights')\nimport os\nNOTHING = 1\n", {}, r"predict"),
    "wrong example": (
        "print('loading the weights')\n" + ADDS,
        {"example": {"inputs": {"x": [1.0]}, "expect": {"output": [3.0]}}},
        r"example.*2(\.0)?\b.*3(\.0)?\b|example.*3(\.0)?\b.*2(\.0)?\b",
    ),
    "no interpreter": (ADDS, {"environment": {"python": "/nowhere/python"}}, r"/nowhere/python"),
    "unknown step": (
        ADDS,
        {"inputs": [{"name": "y", "feeds": "x", "convert": ["polish"]}]},
        r"line \d+.*polish|polish.*line \d+",
    ),
}


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server on all models that fail, and one that does not."""
    folder = tmp_path_factory.mktemp("failing")
    paths = [write_model(folder / "seven", SEVEN, name="seven")]
    for name, (code, manifest, _) in FAILING.items():
        path = write_model(folder / name.replace(" ", "-"), code, name=name.replace(" ", "-"))
        with (path / "model.toml").open("a") as file:
            file.write("".join(f"{line}\n" for line in toml_lines(manifest)))
        paths.append(path)
    with serving(*paths, folder=folder, wait="announced") as server:
        server.wait_for_workers("seven", 1)
        yield server


def toml_lines(manifest: dict[str, object]) -> Iterator[str]:
    """JSON is TOML but for its colons."""
    for key, value in manifest.items():
        for table in value if isinstance(value, list) else [value]:
            yield f"[[{key}]]" if isinstance(value, list) else f"[{key}]"
            yield from (f"{name} = {inline(part)}" for name, part in table.items())


def inline(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {inline(part)}" for name, part in value.items()) + "}"
    return json.dumps(value)


@pytest.mark.parametrize("name", FAILING)
def test_a_model_that_cannot_be_loaded(failing, name):
    _, _, words = FAILING[name]
    model = name.replace(" ", "-")
    eventually(lambda: re.search(rf"failed +{model} version 1: .+", failing.printed), 20.0, f"{model} has failed")
    line = re.search(rf"failed +{model} version 1: (.+)", failing.printed)[1]
    assert re.search(words, line), line
    told = failing.version(model)
    assert (told["state"], told["fix"] != "") == ("FAILED", True)
    assert re.search(words, told["reason"])
    assert "loading the weights" in told["log_tail"] or name in ("syntax", "unknown step", "no interpreter")
    reasons = failing.get("/readyz").json()["reasons"]
    assert any(f"{model}/1" in reason and re.search(words, reason) for reason in reasons)
    assert "Traceback" not in failing.printed
    for wire, statuses in ((NATIVE, (404, 503)), (MMS, (404, 503)), (TFSERVING, (404,))):
        answer = wire.ask(failing.url, model, {"x": 1.0})
        assert answer.status_code in statuses
        assert wire.error_code(answer.json())
        assert "weights" not in answer.text  # an exception's text is for those who may list models


def test_a_model_that_cannot_be_loaded_disturbs_no_other(failing):
    for wire in WIRES:
        assert wire.row(wire.ask(failing.url, "seven", {"nonce": 5, "act": ""}).json())["answer"] == 38


# Who may not


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a key of everybody."""
    folder = tmp_path_factory.mktemp("closed")
    with serving(write_model(folder / "seven", SEVEN, name="seven"), folder=folder, anonymous="none") as server:
        yield server


def key_for(server: Server, *arguments: str) -> dict[str, str]:
    """The header with a new key, made on the command line by the server's own user."""
    command = [sys.executable, "-m", "salver", "keys", "create", "--data-dir", str(server.data), "--label", "x"]
    ran = subprocess.run(
        [*command, *arguments], env=plain_environment(), capture_output=True, text=True, check=True, timeout=30
    )
    return {"Authorization": f"Bearer {ran.stdout.strip()}"}


def predict(server: Server, wire: object, headers: dict[str, str]) -> requests.Response:
    return wire.ask(server.url, "seven", {"nonce": 1, "act": ""}, headers=headers)


WRONG_KEYS = {
    "none": {},
    "made up": {"Authorization": "Bearer msk_aaaaaaaaaa_" + "b" * 40},
    "no key at all": {"Authorization": "Bearer hello"},
    "another scheme": {"Authorization": "Basic dXNlcjpwYXNz"},
    "empty": {"Authorization": "Bearer "},
}


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("what", WRONG_KEYS)
def test_a_caller_without_a_right_key(closed, wire, what):
    answer = predict(closed, wire, WRONG_KEYS[what])
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "salver keys create" in answer.text or wire is not NATIVE
    assert wire.error_code(answer.json())


def test_a_key_that_may_look_but_not_predict(closed):
    viewer = key_for(closed, "--role", "viewer")
    assert closed.get("/api/v1/models", headers=viewer).status_code == 200
    refusal = predict(closed, NATIVE, viewer)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (403, "PERMISSION_DENIED")
    assert "models.predict" in refusal.json()["error"]["message"]


def test_a_key_for_another_model_sees_none_of_this_one(closed):
    other = key_for(closed, "--role", "user", "--model", "another")
    assert closed.get("/api/v1/models", headers=other).json() == {"models": []}
    refusal = predict(closed, NATIVE, other)
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (404, "MODEL_NOT_FOUND")


def test_the_right_key_works_on_every_protocol(closed):
    user = key_for(closed, "--role", "user", "--model", "seven")
    for wire in WIRES:
        assert wire.row(predict(closed, wire, user).json())["answer"] == 10
