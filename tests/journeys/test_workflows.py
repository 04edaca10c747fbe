"""Workflows as users of TorchServe have them: packed, registered, asked, restarted and deleted, over HTTP alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from journey_originals import write_archive
from journey_server import Server, plain_environment, serving

ECHO = """
def handle(data, context):
    if data is None:
        return None
    return [{name: bytes(value).decode() for name, value in sorted(row.items())} for row in data]
"""
FUNCTIONS = """
import pathlib
import time

def body(row):
    return bytes(row.get("data") or row.get("body") or b"")

def pre(data, context):
    return data and [b"pre:" + body(row) for row in data]

def post(data, context):
    return data and [b"|".join(name.encode() + b"=" + bytes(row[name]) for name in sorted(row)) for row in data]

def boom(data, context):
    if data:
        raise RuntimeError("secret words")

def flaky(data, context):
    if data:
        before = pathlib.Path(body(data[0]).decode())
        if not before.exists():
            before.touch()
            raise RuntimeError("the first time")
        return ["at last"]

def slow(data, context):
    if data:
        time.sleep(20)

def meet(data, own, other):
    if data:
        folder = pathlib.Path(body(data[0]).decode())
        (folder / own).touch()
        until = time.monotonic() + 15
        while not (folder / other).exists() and time.monotonic() < until:
            time.sleep(0.01)
        return [str((folder / other).exists())]

def left(data, context):
    return meet(data, "left", "right")

def right(data, context):
    return meet(data, "right", "left")

def same(data, context):
    return data and [body(row) for row in data]

def unloadable(data, context):
    raise RuntimeError("no weights")
"""
MODEL = "  m: {url: echo.mar}\n"
SPECS = {
    "chain": f"models:\n{MODEL}dag: {{pre: [m], m: [post]}}\n",
    "fan": "models:\n  m: {url: echo.mar}\n  n: {url: echo.mar}\ndag: {pre: [m, n], m: [post], n: [post]}\n",
    "leaves": "models:\n  m: {url: echo.mar}\n  n: {url: echo.mar}\ndag: {pre: [m, n, same]}\n",
    "failing": f"models:\n{MODEL}dag: {{boom: [m]}}\n",
    "flaky": "models: {}\ndag: {flaky: []}\n",
    "stubborn": "models: {retry-attempts: 0}\ndag: {flaky: []}\n",
    "late": "models: {timeout-ms: 300, retry-attempts: 0}\ndag: {slow: []}\n",
    "meeting": "models: {timeout-ms: 20000}\ndag: {same: [left, right], left: [post], right: [post]}\n",
    "broken": f"models:\n{MODEL}dag: {{pre: [m], m: [unloadable]}}\n",
    "lacking": "models:\n  m: {url: nowhere.mar}\ndag: {pre: [m]}\n",
    "cyclic": f"models:\n{MODEL}dag: {{pre: [m], m: [post], post: [m]}}\n",
}


class Site:
    """The server, and its addresses for predictions and for management."""

    def __init__(self, server: Server) -> None:
        self.server = server
        _, self.inference, self.management = server.urls[:3]

    def manage(self, method: str, path: str) -> requests.Response:
        return requests.request(method, self.management + path, headers=self.server.admin, timeout=60)

    def predict(self, workflow: str, data: bytes | str, **headers: str) -> requests.Response:
        return requests.post(f"{self.inference}/wfpredict/{workflow}", data=data, headers=headers, timeout=60)

    def models(self) -> set[str]:
        return {model["modelName"] for model in self.manage("GET", "/models").json()["models"]}

    def register(self, name: str) -> requests.Response:
        return self.manage("POST", f"/workflows?url={name}.war")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a store of archives as the archiver packs them."""
    folder = tmp_path_factory.mktemp("workflows")
    store = folder / "store"
    store.mkdir()
    write_archive(store / "echo.mar", "echo", "1.0", ECHO)
    (folder / "steps.py").write_text(FUNCTIONS)
    for name, spec in SPECS.items():
        (folder / f"{name}.yaml").write_text(spec)
        options = ["--workflow-name", name, "--spec-file", f"{name}.yaml", "--handler", "steps.py"]
        command = [sys.executable, "-m", "salver", "torch-workflow-archiver", *options, "--export-path", "store"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60, env=plain_environment(""))
    return folder


def started(folder: Path, **settings: Any) -> Any:
    doors = "native@127.0.0.1:0,torchserve@127.0.0.1:0,torchserve-management@127.0.0.1:0"
    return serving(folder=folder, doors=doors, wait="announced", model_store=folder / "store", **settings)


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    with started(folder) as server:
        site = Site(server)
        for name in ("chain", "fan", "leaves", "failing", "flaky", "stubborn", "late", "meeting"):
            answer = site.register(name)
            assert answer.status_code == 200, answer.text
            assert answer.json() == {"status": f"Workflow {name} has been registered and scaled successfully."}
        yield site


def test_each_node_gets_what_the_one_before_it_answered(site: Site) -> None:
    answer = site.predict("chain", b"abc")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert json.loads(answer.text.removeprefix("body=")) == {"body": "pre:abc"}


def test_a_form_reaches_the_first_node(site: Site) -> None:
    answer = requests.post(f"{site.inference}/wfpredict/chain", files={"data": b"abc"}, timeout=60)
    assert "pre:abc" in answer.text


def test_a_node_behind_several_gets_their_answers_by_their_names(site: Site) -> None:
    first, second = site.predict("fan", b"abc").text.split("|")
    assert (first[:2], second[:2]) == ("m=", "n=")
    assert json.loads(first[2:]) == json.loads(second[2:]) == {"body": "pre:abc"}


def test_several_last_nodes_make_an_object(site: Site) -> None:
    answer = site.predict("leaves", b"abc").json()
    assert answer == {"m": {"body": "pre:abc"}, "n": {"body": "pre:abc"}, "same": "pre:abc"}


def test_branches_run_at_the_same_time(site: Site, tmp_path: Path) -> None:
    assert site.predict("meeting", str(tmp_path)).text == "left=True|right=True"


def test_a_node_that_fails_fails_the_workflow_and_says_nothing_of_why(site: Site) -> None:
    answer = site.predict("failing", b"abc")
    assert answer.status_code == 500
    assert answer.json() == {"code": 500, "type": "InternalServerException", "message": "Error executing boom"}
    assert "secret words" in site.server.logs


def test_a_node_is_asked_again_as_often_as_the_specification_says(site: Site, tmp_path: Path) -> None:
    assert site.predict("flaky", str(tmp_path / "mark")).text == "at last"
    assert site.predict("stubborn", str(tmp_path / "other")).status_code == 500
    assert site.predict("stubborn", str(tmp_path / "other")).text == "at last"


def test_a_node_has_its_time(site: Site) -> None:
    answer = site.predict("late", b"abc")
    assert (answer.status_code, answer.json()["message"]) == (500, "Error executing slow")
    assert answer.elapsed.total_seconds() < 10


def test_workflows_are_listed_page_by_page_and_described(site: Site) -> None:
    page = site.manage("GET", "/workflows?limit=2").json()
    assert page == {
        "nextPageToken": "2",
        "workflows": [{"workflowName": name, "workflowUrl": f"{name}.war"} for name in ("chain", "failing")],
    }
    assert site.manage("GET", "/workflows?limit=100").json().keys() == {"workflows"}
    (described,) = site.manage("GET", "/workflows/fan").json()
    assert described == {
        "workflowName": "fan",
        "workflowUrl": "fan.war",
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": 1,
        "maxBatchDelay": 50,
        "workflowDag": "{pre=[m, n], m=[post], n=[post]}",
    }


@pytest.mark.parametrize(
    ("name", "status", "type", "words"),
    [
        ("chain", 409, "ConflictStatusException", "Workflow chain is already registered."),
        ("nobody", 404, "WorkflowNotFoundException", "Workflow not found in workflow store: nobody.war"),
        ("cyclic", 400, "InvalidDAGException", "Not a valid DAG: these wait for one another: m, post"),
        (
            "lacking",
            500,
            "WorkflowException",
            "lacking__m failed to register. Details: Model not found at: nowhere",
        ),
        ("broken", 500, "WorkflowException", "Failed to start workers for model broken__unloadable version: 1.0"),
    ],
)
def test_what_cannot_be_registered_leaves_nothing(site: Site, name: str, status: int, type: str, words: str) -> None:
    before = site.models()
    answer = site.register(name)
    assert (answer.status_code, answer.json()["type"]) == (status, type)
    assert words in answer.json()["message"]
    assert site.models() == before
    assert site.manage("GET", f"/workflows/{name}").status_code == (200 if name == "chain" else 404)


def test_a_workflow_is_permitted_by_its_own_name(site: Site) -> None:
    def key(*models: str) -> dict[str, str]:
        asked = {"role": "user", "label": "w", "models": models}
        answer = requests.post(f"{site.server.url}/api/v1/keys", json=asked, headers=site.server.admin, timeout=30)
        return {"Authorization": f"Bearer {answer.json()['key']}"}

    allowed, other = key("chain"), key("fan")
    assert site.predict("chain", b"abc", **allowed).status_code == 200
    refused = site.predict("chain", b"abc", **other)
    assert (refused.status_code, refused.json()["message"]) == (404, "Workflow not found: chain")
    node = requests.post(f"{site.inference}/predictions/chain__m", data=b"x", headers=allowed, timeout=30)
    assert node.status_code == 404
    nobody = requests.post(f"{site.management}/workflows?url=chain.war", timeout=30)
    assert (nobody.status_code, nobody.json()["type"]) == (400, "InvalidKeyException")


def test_a_workflow_is_there_after_a_restart_on_all_front_ends_until_it_is_deleted(folder: Path) -> None:
    own = folder / "own"
    own.mkdir()
    (own / "store").symlink_to(folder / "store")
    with started(own, processes=2) as server:
        admin = server.admin
        assert Site(server).register("chain").status_code == 200
        settings = {"data_dir": server.data}
    with started(own, processes=2, **settings) as server:
        server.wait_ready()
        site = Site(server)
        for _ in range(8):
            assert "pre:abc" in site.predict("chain", b"abc").text
        deleted = requests.delete(f"{site.management}/workflows/chain", headers=admin, timeout=60)
        assert deleted.json() == {"status": 'Workflow "chain" unregistered'}
        gone = requests.get(f"{site.management}/workflows/chain", headers=admin, timeout=60)
        assert (gone.status_code, gone.json()["type"]) == (404, "WorkflowNotFoundException")
        assert site.predict("chain", b"abc").status_code == 404
        models = requests.get(f"{site.management}/models", headers=admin, timeout=60)
        assert models.json() == {"models": []}
