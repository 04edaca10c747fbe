"""Every format that can be served, from its file to the same answer over every protocol and every tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from journey_formats import (
    FLOWER,
    HANDLER_CLASS,
    HANDLER_FUNCTION,
    Example,
    archive,
    function,
    iris,
    line,
    write_line,
)
from journey_server import Server, plain_environment, serving
from journey_wires import NATIVE, TFSERVING, WIRES, Wire

NAMES = ("line", "iris_joblib", "iris_pickle", "iris_skops", "greets", "archive_function", "archive_class")
BODIES = ("archive_function", "archive_class")


class Served(NamedTuple):
    server: Server
    folder: Path
    examples: dict[str, Example]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server on one model of each format, named as its file is."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("formats")
    examples = {
        "line": line(folder / "line.onnx"),
        **iris(folder),
        "greets": function(folder / "greets"),
        "archive_function": archive(folder / "archive_function.mar", HANDLER_FUNCTION, "service.py:handle"),
        "archive_class": archive(folder / "archive_class.mar", HANDLER_CLASS, "service"),
    }
    (folder / "request.bin").write_text('{"nonce": 5}')
    paths = [f"greets={path}:predict" if name == "greets" else path for name, (path, _, _) in examples.items()]
    with serving(*paths, folder=folder) as server:
        yield Served(server, folder, examples)


def salver(served: Served, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command as a user on the same machine does: it finds the server by its data directory."""
    return subprocess.run(
        [sys.executable, "-m", "salver", *arguments, "--data-dir", str(served.server.data)],
        cwd=served.folder,
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def approximately(value: Any) -> Any:
    """The same value, with a tolerance where it holds numbers."""
    if isinstance(value, dict):
        return {name: approximately(part) for name, part in value.items()}
    return value if isinstance(value, str) else pytest.approx(value, rel=1e-5)


def outputs_of(served: Served, name: str, wire: Wire) -> Any:
    """What a protocol answers to the example's row: its outputs by name, a handler's answer, or an only output bare."""
    example = served.examples[name]
    if name not in BODIES:
        return wire.row(asked(wire.ask(served.server.url, name, example.inputs)))
    if wire is TFSERVING:
        return wire.row(asked(wire.ask(served.server.url, name, example.inputs)))
    return asked(served.server.post(wire.address(name), json=example.inputs))


def asked(answer: requests.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def bare(outputs: Any) -> Any:
    """An only output without its name: some protocols leave it out."""
    return next(iter(outputs.values())) if isinstance(outputs, dict) and len(outputs) == 1 else outputs


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
@pytest.mark.parametrize("name", NAMES)
def test_every_protocol_gives_the_answer_that_the_model_gives(served, name, wire):
    expected = served.examples[name].outputs
    assert bare(outputs_of(served, name, wire)) == approximately(bare(expected))


def test_all_are_listed_as_ready(served):
    rows = salver(served, "models").stdout.splitlines()
    assert {row.split()[0]: row.split()[3] for row in rows[1:]} == dict.fromkeys(NAMES, "READY")
    assert served.server.get("/readyz").json()["replicas_ready"] == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_command_predicts_too(served, name):
    example = served.examples[name]
    if name in BODIES:
        ran = salver(served, "predict", name, "--input", "request.bin")
    else:
        given = json.dumps({key: [value] for key, value in example.inputs.items()})
        ran = salver(served, "predict", name, "--input", given, "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    outputs = told if name in BODIES else {key: rows[0] for key, rows in told["outputs"].items()}
    assert bare(outputs) == approximately(bare(example.outputs))


def commands(printed: str) -> dict[str, dict[str, str]]:
    """The commands that the server printed, by model and protocol."""
    found: dict[str, dict[str, str]] = {}
    model = wire = ""
    for text in printed.splitlines():
        if begun := re.fullmatch(r"try +(\S+):", text):
            model = begun[1]
        elif named := re.fullmatch(r"  # (\w+)", text):
            wire = named[1]
        elif text.startswith("  ") and wire:
            found.setdefault(model, {})[wire] = text.strip()
            wire = ""
    return found


@pytest.mark.parametrize("name", NAMES)
def test_the_printed_commands_work_when_pasted(served, name):
    if shutil.which("curl") is None:
        pytest.skip("NO CURL on this machine")
    printed = commands(served.server.printed)[name]
    assert set(printed) == {"native", "mms", "openinference"} | (set() if name in BODIES else {"tfserving"})
    for wire, command in printed.items():
        ran = subprocess.run(
            ["bash", "-c", command.replace("curl ", "curl --silent --show-error --fail-with-body ", 1)],
            cwd=served.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, (wire, command, ran.stdout, ran.stderr)
        assert ran.stdout.strip()


def test_a_folder_of_numbered_versions_is_served_as_tensorflow_serving_does(server, tmp_path):
    """`model/1`, `model/2`: the highest answers, the others by their number where they are served."""
    write_line(tmp_path / "halves" / "00000001" / "model.onnx", 0.5, 2.0)
    write_line(tmp_path / "halves" / "2" / "model.onnx", 0.5, 3.0)
    (tmp_path / "halves" / "notes").mkdir()
    with server(tmp_path / "halves") as running:
        told = running.get("/v1/models/halves").json()["model_version_status"]
        assert ("2", "AVAILABLE") in {(row["version"], row["state"]) for row in told}
        for path in ("/v1/models/halves:predict", "/v1/models/halves/versions/2:predict"):
            answer = running.post(path, json={"instances": [[1.0, 2.0, 5.0, 0.0]]})
            assert answer.json() == {"predictions": [[3.5, 4.0, 5.5, 3.0]]}
        for wire in WIRES:
            answer = wire.ask(running.url, "halves", {"x": [1.0, 2.0, 5.0, 0.0]})
            assert bare(wire.row(answer.json())) == [3.5, 4.0, 5.5, 3.0]
        metadata = running.get("/v1/models/halves/metadata").json()
        assert metadata["model_spec"] == {"name": "halves", "signature_name": "", "version": "2"}


def test_a_folder_of_models_serves_each_and_tells_of_what_is_none(server, tmp_path):
    repository = tmp_path / "repository"
    flower = line(repository / "line.onnx")
    greeting = function(repository / "greets")
    (repository / "greets" / "model.toml").write_text('description = "A file of Python beside others is no model."\n')
    write_line(repository / "halves" / "1" / "model.onnx", 0.5, 2.0)
    (repository / "README.md").write_text("Nobody takes this for a model.")
    (repository / "large.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n")
    with server(repository) as running:
        listed = running.get("/api/v1/models").json()["models"]
        assert {model["name"] for model in listed} == {"line", "greets", "halves"}
        for wire in WIRES:
            answer = wire.ask(running.url, "line", {"x": FLOWER})
            assert bare(wire.row(answer.json())) == flower.outputs["y"]
        assert NATIVE.row(NATIVE.ask(running.url, "greets", greeting.inputs).json()) == {"output": greeting.outputs}
        assert re.search(r"failed .*large.*Git LFS pointer", running.printed)
        assert "git lfs pull" in running.printed
        assert "README" not in running.printed
        assert requests.get(running.url + "/ping", timeout=5).json() == {"status": "Healthy"}
