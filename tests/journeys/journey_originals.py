"""The original servers, each in an environment of its own, and the same calls sent to them and to this server.

`SALVER_TEST_ORIGINALS` may name a folder with environments that are made already (`mms`, `torchserve`), which saves
their installation.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from journey_server import eventually
from journey_sockets import free_ports

START_S = 90.0
ORIGINALS = "SALVER_TEST_ORIGINALS"
PACKAGES = {
    "mms": ("multi-model-server==1.1.11", "setuptools"),
    "torchserve": ("torchserve==0.12.0", "torch-workflow-archiver", "setuptools", "pyyaml", "pip"),
    "torchvision": (
        *("torchserve==0.12.0", "setuptools", "pyyaml", "pip", "numpy", "pillow"),
        *("packaging", "tqdm", "matplotlib"),  # which captum asks for
    ),
}
TORCH = "torch==2.13.0"
BESIDE_TORCH = ("torchvision==0.28.0", "captum==0.9.0")
"""Packages that would bring another PyTorch."""
_made: dict[str, Path] = {}
"""The environments of this run: each is installed once."""


def environment(name: str, folder: Path) -> Path:
    """The folder with the commands of an environment that has the original. Skips, loudly, where it cannot be made."""
    if shutil.which("java") is None:
        pytest.skip("NO JAVA on this machine: the original servers cannot be started")
    ready = Path(os.environ.get(ORIGINALS, "/nowhere")) / name / "bin"
    if ready.is_dir():
        return ready
    if name in _made:
        return _made[name]
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    python = folder / "bin" / "python"
    try:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES[name])
        if name != "mms":
            _run(str(python), "-m", "pip", "install", "--quiet", TORCH)
        if name == "torchvision":
            _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", *BESIDE_TORCH)
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "output", b"") or b""
        pytest.skip(f"NO {name.upper()} from the package index: {error} {output[-500:]!r}")
    _made[name] = folder / "bin"
    return _made[name]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1500)


class Ports(NamedTuple):
    inference: int
    management: int
    metrics: int = 0
    grpc_inference: int = 0
    grpc_management: int = 0


@contextmanager
def original(name: str, commands: Path, folder: Path, store: Path, **settings: Any) -> Iterator[Ports]:
    """The original server, running; keywords are further lines of its config.properties, in capitals its variables."""
    ports = Ports(*free_ports(5))
    config = {
        "inference_address": f"http://127.0.0.1:{ports.inference}",
        "management_address": f"http://127.0.0.1:{ports.management}",
        "model_store": store,
        **{key: value for key, value in settings.items() if not key.isupper()},
    }
    if name == "torchserve":
        config |= {
            "metrics_address": f"http://127.0.0.1:{ports.metrics}",
            "grpc_inference_port": ports.grpc_inference,
            "grpc_management_port": ports.grpc_management,
        }
    properties = folder / "config.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in config.items()))
    (folder / "tmp").mkdir()
    option = "--ts-config" if name == "torchserve" else "--mms-config"
    command = [str(commands / ("torchserve" if name == "torchserve" else "multi-model-server"))]
    command += ["--start", "--foreground", option, str(properties), *(["--ncs"] if name == "torchserve" else [])]
    variables = {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "TEMP": str(folder / "tmp"),
        "LOG_LOCATION": str(folder / "logs"),
        "METRICS_LOCATION": str(folder / "logs"),
        **{key: str(value) for key, value in settings.items() if key.isupper()},
    }
    output = folder / "original.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=folder, env=variables, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        eventually(lambda: _answers(ports.inference, process, output), START_S, f"{name} answers")
        yield ports
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(port: int, process: subprocess.Popen[bytes], output: Path) -> bool:
    assert process.poll() is None, f"the original server ended\n{output.read_text()[-3000:]}"
    try:
        return requests.get(f"http://127.0.0.1:{port}/ping", timeout=5).status_code < 600
    except requests.ConnectionError:
        return False


# Calls


class Call(NamedTuple):
    """One call of the table. `is_management` sends it to the other port."""

    name: str
    method: str
    target: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    is_management: bool = False
    differs: Mapping[str, str] = {}
    """What is different here on purpose, and why: by the part of the answer (`status`, `phrase`, `type`, `headers`, or
    a path in the document)."""


class Told(NamedTuple):
    """An answer, taken apart."""

    status: int
    phrase: str
    type: str | None
    headers: frozenset[str]
    """Names."""
    closes: bool
    document: Any


def ask(ports: Ports, call: Call) -> Told:
    """Over a connection of its own, as curl would."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", ports.management if call.is_management else ports.inference, timeout=120
    )
    try:
        connection.request(call.method, call.target, call.body or None, dict(call.headers))
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    names = frozenset(name.lower() for name, _ in answer.getheaders()) - {"connection", "date"}
    closes = (answer.getheader("connection") or "").lower() == "close"
    return Told(answer.status, answer.reason, answer.getheader("content-type"), names, closes, _document(body))


def _document(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")


def differences(ours: Told, theirs: Told, *, ignored: Callable[[str], bool]) -> dict[str, tuple[Any, Any]]:
    """By the part of the answer: what we say and what they say."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in ("status", "phrase", "type", "closes"):
        one, other = getattr(ours, name), getattr(theirs, name)
        if one != other:
            found[name] = (one, other)
    if ours.headers != theirs.headers:
        found["headers"] = (sorted(ours.headers - theirs.headers), sorted(theirs.headers - ours.headers))
    _compare("", ours.document, theirs.document, found)
    return {path: pair for path, pair in found.items() if not ignored(path)}


def _compare(path: str, one: Any, other: Any, found: dict[str, tuple[Any, Any]]) -> None:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            _compare(f"{path}.{key}", one.get(key, "(absent)"), other.get(key, "(absent)"), found)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for place, (mine, yours) in enumerate(zip(one, other, strict=True)):
            _compare(f"{path}[{place}]", mine, yours, found)
    elif one != other:
        found[path or "body"] = (one, other)


# Models


ECHO = """
def told(value):
    return {"type": type(value).__name__, "value": bytes(value).decode() if isinstance(value, bytearray) else value}

def handle(data, context):
    if data is None:
        return None
    return [{name: told(value) for name, value in row.items()} for row in data]
"""
CODED = """
try:
    from ts.utils.util import PredictionException
except ImportError:
    from mms.service import PredictionException

def handle(data, context):
    if data is None:
        return None
    asked = data[0]["body"]
    if not isinstance(asked, dict):
        return ["plain"]
    if "status" in asked:
        context.set_response_status(code=asked["status"], phrase=asked.get("phrase", ""), idx=0)
    if "type" in asked:
        context.set_response_content_type(0, asked["type"])
    for name, value in asked.get("headers", {}).items():
        context.set_response_header(0, name, value)
    if "header" in asked:
        return [str(context.get_request_header(0, asked["header"]))]
    if "raise" in asked:
        raise ValueError(asked["raise"])
    if "prediction_exception" in asked:
        raise PredictionException("chosen words", asked["prediction_exception"])
    if "memory" in asked:
        raise MemoryError()
    return {"list": [asked], "bytes": [b"abc"], "text": ["abc"], "none": None, "two": [1, 2], "object": {"a": 1},
            "unserializable": [object()], "numbers": [[1, 2.5]]}[asked.get("answer", "text")]
"""
STREAMING = """
from ts.handler_utils.utils import send_intermediate_predict_response

def handle(data, context):
    if data is None:
        return None
    for word in bytes(data[0].get("body") or data[0].get("data") or b"").decode().split():
        if word == "fail":
            raise ValueError("secret words")
        if word.startswith("status"):
            context.set_response_status(code=int(word[6:]), phrase="Chosen", idx=0)
        elif word.startswith("type"):
            context.set_response_content_type(0, "text/csv")
        elif word.startswith("X-"):
            context.set_response_header(0, word, "yes")
        else:
            send_intermediate_predict_response([word + " "], context.request_ids, "Intermediate", 200, context)
    return ["end"]
"""
FAILING = "def handle(data, context):\n    if data:\n        raise RuntimeError('secret words')\n"
BROKEN = "def handle(data, context):\n    raise RuntimeError('no weights')\n"


FUNCTIONS = """
import json

def body(row):
    return bytes(row.get("data") or row.get("body") or b"")

def told(value):
    return {"type": type(value).__name__, "value": bytes(value).decode()}

def pre(data, context):
    return data and [b"pre:" + body(row) for row in data]

def post(data, context):
    if not data:
        return None
    own = context.get_request_header(0, "X-Told")
    return [json.dumps({"post": {key: told(row[key]) for key in sorted(row)}, "header": own}) for row in data]

def text(data, context):
    return data and ["plain"] * len(data)

def boom(data, context):
    if data:
        raise ValueError("secret words")
"""
_MODEL = "  m: {url: echo.mar}\n"
_TWO = f"{_MODEL}  n: {{url: echo.mar}}\n"
WORKFLOWS = {
    "chain": f"models:\n  batch-size: 2\n{_MODEL}dag: {{pre: [m], m: [post]}}\n",
    "fan": f"models:\n{_TWO}dag: {{pre: [m, n], m: [post], n: [post]}}\n",
    "leaves": f"models:\n{_TWO}dag: {{pre: [m, n]}}\n",
    "texts": f"models:\n{_MODEL}dag: {{pre: [m, text]}}\n",
    "bang": f"models:\n{_MODEL}dag: {{boom: [m]}}\n",
    "cyclic": f"models:\n{_MODEL}dag: {{pre: [m], m: [text], text: [m]}}\n",
    "self": f"models:\n{_MODEL}dag: {{m: [m]}}\n",
    "starts": f"models:\n{_MODEL}dag: {{pre: [m], text: [m]}}\n",
    "strange": f"models:\n{_MODEL}dag: {{missing: [m]}}\n",
    "lacking": "models:\n  m: {url: nowhere.mar}\ndag: {pre: [m]}\n",
    "noyaml": "models: [\n",
}
"""Specifications by the workflow's name."""


def write_store(folder: Path) -> Path:
    """A model store with what the calls ask for."""
    folder.mkdir()
    for file, name, version, source in (
        ("echo.mar", "echo", "1.0", ECHO),
        ("echo-two.mar", "echo", "2.0", ECHO),
        ("coded.mar", "coded", "1.0", CODED),
        ("broken.mar", "broken", "1.0", BROKEN),
        ("failing.mar", "failing", "1.0", FAILING),
        ("streaming.mar", "streaming", "1.0", STREAMING),
    ):
        write_archive(folder / file, name, version, source)
    (folder / "text.mar").write_text("no zip")
    for name, spec in WORKFLOWS.items():
        write_workflow(folder / f"{name}.war", name, spec)
    (folder / "text.war").write_text("no zip")
    return folder


def write_workflow(path: Path, name: str, spec: str) -> None:
    manifest = {
        "createdOn": "01/01/2026 00:00:00",
        "workflow": {"workflowName": name, "specFile": "spec.yaml", "handler": "steps.py"},
        "archiverVersion": "0.2.15",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("WAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("spec.yaml", spec)
        archive.writestr("steps.py", FUNCTIONS)


def write_archive(path: Path, name: str, version: str, source: str) -> None:
    manifest = {
        "createdOn": "01/01/2026 00:00:00",
        "runtime": "python",
        "specificationVersion": "1.0",
        "implementationVersion": "1.0",
        "modelServerVersion": "1.0",
        "license": "Apache 2.0",
        "engine": {"engineName": "Python"},
        "model": {"modelName": name, "modelVersion": version, "handler": "service.py"},
        "archiverVersion": "0.12.0",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        archive.writestr("service.py", source)
