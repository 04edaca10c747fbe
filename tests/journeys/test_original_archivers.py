"""What the original archivers make is served here, and what ours make is the same and is served by the originals."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from journey_archivers import Sandbox, answer_of, comparable, compressions, installed
from journey_originals import environment
from journey_server import Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

HANDLER = """
import helper

class Service:
    def initialize(self, context):
        self.name = context.model_name
        with open(context.system_properties["model_dir"] + "/words.txt") as file:
            self.word = file.read().strip()

    def handle(self, data, context):
        return [helper.join(self.name, self.word, bytes(item["body"]).decode()) for item in data]
"""
NAME = "salver-archiver-test"
BODY = b"body"
ANSWER = f"{NAME} said body"
Serve = Callable[..., AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def mms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("mms"), "multi-model-server==1.1.11", "model-archiver==1.0.3")


@pytest.fixture(scope="module")
def torch_archivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    packages = ("torch-model-archiver==0.12.0", "torch-workflow-archiver==0.2.15")
    return installed(tmp_path_factory.mktemp("torch-archivers"), *packages)


@pytest.fixture(scope="module")
def torchserve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment("torchserve", tmp_path_factory.mktemp("torchserve") / "environment") / "torchserve"


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path / "sandbox")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model's folder, with what a system and Python leave behind in one."""
    folder = tmp_path / "model"
    for name, text in {
        "service.py": HANDLER,
        "helper.py": "def join(*words): return ' '.join(words)\n",
        "words.txt": "said\n",
        "data/labels.txt": "cat\n",
        "data/empty.txt": "",
        ".git/config": "x",
        "__pycache__/service.cpython-311.pyc": "x",
        "service.pyc": "x",
        ".DS_Store": "x",
        "old.mar": "x",
        "MANIFEST.json": "{}",
        ".hidden": "x",
        "__MACOSX/x": "x",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def ours(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "salver", name)


def answer_here(server: Serve, archive: Path) -> str:
    with server(f"{NAME}={archive}") as running:
        running.wait_ready()
        return running.post(f"/predictions/{NAME}", data=BODY).text


def needs_java() -> None:
    if shutil.which("java") is None:
        pytest.skip("NO JAVA: install a Java runtime to serve our archives with the original server")


# MMS


def mms_line(model: Path, form: str = "default") -> tuple[str, ...]:
    return ("--model-name", NAME, "--model-path", str(model), "--handler", "service.py", "--archive-format", form)


@pytest.mark.parametrize(("form", "ending"), [("default", ".mar"), ("tgz", ".tar.gz"), ("no-archive", "")])
def test_archives_for_mms_are_the_same_and_are_served_here(
    form: str, ending: str, mms: Path, model: Path, server: Serve, sandbox: Sandbox, tmp_path: Path
) -> None:
    line = mms_line(model, form)
    theirs = sandbox.made(tmp_path / "theirs", str(mms / "model-archiver"), *line) / f"{NAME}{ending}"
    mine = sandbox.made(tmp_path / "ours", *ours("model-archiver"), *line) / f"{NAME}{ending}"
    assert comparable(mine) == comparable(theirs)
    assert answer_here(server, theirs) == ANSWER


@pytest.mark.parametrize(("form", "ending"), [("default", ".mar"), ("no-archive", "")])
def test_the_real_multi_model_server_serves_what_we_pack(
    form: str, ending: str, mms: Path, model: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    needs_java()
    store = sandbox.made(tmp_path / "store", *ours("model-archiver"), *mms_line(model, form))
    with sandbox.server(mms / "multi-model-server", store, "--models", f"{NAME}={NAME}{ending}") as url:
        answer = answer_of(url, NAME, BODY, sandbox)
        assert (answer.status_code, answer.text) == (200, ANSWER), sandbox.told()


# TorchServe


@pytest.fixture
def line(model: Path) -> tuple[str, ...]:
    """A whole line of the archiver, with everything that it takes."""
    (model / "weights.pt").write_bytes(b"weights")
    (model / "net.py").write_text("class Net: ...\n")
    (model / "requirements.txt").write_text("numpy\n")
    (model / "model-config.yaml").write_text("minWorkers: 1\nbatchSize: 1\nhandler:\n  words: [a]\n")
    return (
        *("--model-name", NAME, "--version", "2.0", "--handler", str(model / "service.py")),
        *("--serialized-file", str(model / "weights.pt"), "--model-file", str(model / "net.py")),
        *("--extra-files", f"{model}/helper.py,{model}/words.txt,{model}/data,{model}/*.nothing"),
        *("-r", str(model / "requirements.txt"), "-c", str(model / "model-config.yaml")),
    )


@pytest.mark.parametrize(
    ("form", "ending"), [("default", ".mar"), ("zip-store", ".mar"), ("tgz", ".tar.gz"), ("no-archive", "")]
)
def test_archives_for_torchserve_are_the_same_and_are_served_here(
    form: str,
    ending: str,
    torch_archivers: Path,
    line: tuple[str, ...],
    server: Serve,
    sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    line = (*line, "--archive-format", form)
    theirs = sandbox.made(tmp_path / "theirs", str(torch_archivers / "torch-model-archiver"), *line)
    mine = sandbox.made(tmp_path / "ours", *ours("torch-model-archiver"), *line)
    found = theirs / f"{NAME}{ending}", mine / f"{NAME}{ending}"
    assert comparable(found[1]) == comparable(found[0])
    if ending == ".mar":
        assert compressions(found[0]) == compressions(found[1])
    assert answer_here(server, found[0]) == ANSWER


@pytest.mark.parametrize(("form", "ending"), [("default", ".mar"), ("no-archive", "")])
def test_the_real_torchserve_serves_what_we_pack(
    form: str, ending: str, torchserve: Path, line: tuple[str, ...], sandbox: Sandbox, tmp_path: Path
) -> None:
    needs_java()
    store = sandbox.made(tmp_path / "store", *ours("torch-model-archiver"), *line, "--archive-format", form)
    with sandbox.server(torchserve, store, "--models", f"{NAME}={NAME}{ending}") as url:
        answer = answer_of(url, NAME, BODY, sandbox)
        assert (answer.status_code, answer.text) == (200, ANSWER), sandbox.told()


@pytest.mark.parametrize("handler", ["image_classifier", "service:handle"])
def test_a_handler_may_be_torchserves_own_or_name_a_function(
    handler: str, torch_archivers: Path, model: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    line = ("--model-name", NAME, "-v", "1.0", "--handler", handler, "--extra-files", str(model / "words.txt"))
    found = []
    for command in ((str(torch_archivers / "torch-model-archiver"),), ours("torch-model-archiver")):
        folder = tmp_path / f"packed-{len(found)}"
        folder.mkdir()
        shutil.copy(model / "service.py", folder)
        found.append(comparable(sandbox.made(folder, *command, *line) / f"{NAME}.mar"))
    assert found[0] == found[1]


def test_workflows_are_the_same(torch_archivers: Path, model: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    (model / "flow.yaml").write_text("models:\n  m1:\n    url: m1.mar\ndag:\n  pre: [m1]\n")
    line = ("--workflow-name", NAME, "--spec-file", str(model / "flow.yaml"), "--handler", str(model / "service.py"))
    line = (*line, "--extra-files", f"{model}/words.txt,{model}/helper.py")
    theirs = sandbox.made(tmp_path / "theirs", str(torch_archivers / "torch-workflow-archiver"), *line)
    mine = sandbox.made(tmp_path / "ours", *ours("torch-workflow-archiver"), *line)
    assert comparable(mine / f"{NAME}.war") == comparable(theirs / f"{NAME}.war")


# Mistakes


@pytest.mark.parametrize(
    "line",
    [
        ("--model-name", "a b", "--model-path", ".", "--handler", "s"),
        ("--model-name", NAME, "--model-path", "nowhere", "--handler", "s"),
        ("--model-name", NAME, "--model-path", ".", "--handler", "s", "--export-path", "nowhere"),
        ("--model-name", NAME, "--model-path", "."),
        ("--model-name", NAME, "--model-path", ".", "--handler", "s", "--archive-format", "rar"),
        ("--model-name", NAME, "--model-path", ".", "--handler", "s", "--runtime", "java"),
    ],
)
def test_mistakes_get_the_originals_words_and_codes(
    line: tuple[str, ...], mms: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    theirs = sandbox.run(tmp_path / "here", str(mms / "model-archiver"), *line)
    mine = sandbox.run(tmp_path / "here", *ours("model-archiver"), *line)
    assert theirs.code == mine.code != 0
    assert mine.told.splitlines()[-1] == theirs.told.splitlines()[-1]


def test_what_is_there_is_replaced_only_on_request(mms: Path, model: Path, sandbox: Sandbox, tmp_path: Path) -> None:
    here = sandbox.made(tmp_path / "here", *ours("model-archiver"), *mms_line(model))
    for command in ((str(mms / "model-archiver"),), ours("model-archiver")):
        code, told = sandbox.run(here, *command, *mms_line(model))
        assert code == 1
        assert "already exists.\nPlease specify --force/-f option to overwrite the model archive output file." in told
        assert sandbox.run(here, *command, *mms_line(model), "--force").code == 0


def test_our_archivers_leave_the_folder_for_temporary_files_as_it_is(
    model: Path, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The originals delete what is called like the model there."""
    kept = Path(sandbox.variables()["TMPDIR"]) / NAME / "precious.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    line = ("--model-name", NAME, "-v", "1", "--handler", str(model / "service.py"))
    sandbox.made(tmp_path / "one", *ours("torch-model-archiver"), *line)
    workflow = ("--workflow-name", NAME, "--spec-file", str(model / "words.txt"))
    sandbox.made(tmp_path / "two", *ours("torch-workflow-archiver"), *workflow)
    assert kept.read_text() == "mine"
