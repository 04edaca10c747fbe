"""A whole server in the test's own process, from its settings to its exit status. Signals end it, as a user would."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from salver.app.server import serve
from salver.errors import Code, LoadError, SalverError, StartupError
from salver.events import (
    FirstRunKey,
    Listening,
    ModelFailed,
    ModelFound,
    ModelReady,
    Noted,
    ServerEvent,
    Stopping,
)
from salver.net.base import NetSettings
from salver.processes import doors
from salver.processes.base import ProcessSettings
from salver.settings import Settings
from salver.store.directory import DataDirectory
from salver.telemetry.base import TelemetrySettings
from salver.types import VersionState

Act = Callable[[Any], None]


def end(_: Any = None) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Run:
    """One server: what it told, and how it ended."""

    def __init__(self, folder: Path, acts: dict[type, Act]) -> None:
        self.folder = folder
        self.acts = acts
        self.events: list[ServerEvent] = []

    def __call__(self, event: ServerEvent) -> None:
        self.events.append(event)
        act = self.acts.get(type(event))
        if act is not None:
            act(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    def has_cleared_up(self) -> bool:
        """Nothing tells of a running server, and the next one can start."""
        directory = DataDirectory(self.folder)
        with directory.lock():
            return directory.running_server() is None and not directory.socket.exists()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Runs a server on paths until it ends; keywords say what to do at an event, others are settings."""
    loggers = logging.getLogger("salver")
    before = loggers.handlers[:], loggers.level, loggers.propagate, gc.get_threshold()

    def run(*paths: Any, at: dict[type, Act] | None = None, **settings: Any) -> Run:
        processes = ProcessSettings(data_dir=str(tmp_path / "data"), processes=settings.pop("processes", 1))
        telemetry = TelemetrySettings(access_log=settings.pop("access_log", "off"))
        net = NetSettings(**{"port": 0, **settings})
        told = Run(tmp_path / "data", {ModelReady: end} if at is None else at)
        whole = Settings(net=net, processes=processes, telemetry=telemetry)
        status = serve(whole, [str(path) for path in paths], on_event=told)
        assert status == 0
        return told

    yield run
    loggers.handlers[:], loggers.level, loggers.propagate = before[:3]
    gc.unfreeze()
    gc.set_threshold(*before[3])


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "parrot.echo"
    path.touch()
    return path


def test_a_server_tells_its_life_in_order_and_ends_with_0(serving: Any, echo: Path) -> None:
    run = serving(echo)
    assert run.kinds == [
        "ModelFound",
        "FirstRunKey",
        "Listening",
        "ModelReady",
        "Stopping",
        "Stopped",
    ]
    (found,) = run.of(ModelFound)
    assert (found.name, found.version, found.runtime) == ("parrot", 1, "echo")
    (ready,) = run.of(ModelReady)
    assert ready.status.state is VersionState.READY
    (stopping,) = run.of(Stopping)
    assert stopping.reason == "SIGTERM was received"
    assert run.has_cleared_up()


def test_the_first_key_is_shown_once(serving: Any, echo: Path) -> None:
    assert serving(echo).of(FirstRunKey)
    assert not serving(echo).of(FirstRunKey)


def test_a_running_server_is_announced_and_has_a_door_for_its_own_user(
    serving: Any, echo: Path, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def look(event: Listening) -> None:
        directory = DataDirectory(tmp_path / "data")
        seen.append((directory.running_server(), directory.socket.stat().st_mode))

    run = serving(echo, at={Listening: look, ModelReady: end})
    ((announced, mode),) = seen
    assert announced.pid == os.getpid()
    assert announced.urls == tuple(address.url for address in run.of(Listening)[0].addresses)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_ctrl_c_is_an_orderly_end_too(serving: Any, echo: Path) -> None:
    run = serving(echo, at={ModelReady: lambda _: os.kill(os.getpid(), signal.SIGINT)})
    assert run.of(Stopping)[0].reason == "SIGINT was received"


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("moment", [ModelFound, FirstRunKey, Listening])
def test_a_signal_while_the_server_starts_is_an_orderly_end(
    serving: Any, echo: Path, processes: int, moment: type
) -> None:
    run = serving(echo, at={moment: end}, processes=processes)
    assert run.kinds[-2:] == ["Stopping", "Stopped"]
    assert "ModelReady" not in run.kinds
    assert run.has_cleared_up()


def test_several_front_ends_are_one_server(serving: Any, echo: Path) -> None:
    answers: list[int] = []

    def ask(event: Listening) -> None:
        answers.append(requests.get(f"{event.addresses[0].url}/livez", timeout=10).status_code)

    run = serving(echo, at={Listening: ask, ModelReady: end}, processes=2)
    assert answers == [200]
    assert len(run.of(Listening)[0].addresses) == 1
    assert run.has_cleared_up()


# Doors


def test_other_protocols_ports_are_told_with_what_answers_there(
    serving: Any, echo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe, socket.create_server(("127.0.0.1", 0)) as other:
        free, also_free = probe.getsockname()[1], other.getsockname()[1]
    monkeypatch.setitem(doors.COMPAT_PORTS, "tfserving", ((free, ("tfserving",)),))
    monkeypatch.setitem(doors.COMPAT_GRPC_PORTS, "tfserving", ((also_free, ("tfserving",)),))
    run = serving(echo, compat=("tfserving",))
    first, second, third = run.of(Listening)[0].addresses
    assert first.wires == doors.ALL_WIRES
    assert (second.url, second.wires) == (f"http://127.0.0.1:{free}", ("tfserving",))
    assert (third.url, third.wires) == (f"grpc://127.0.0.1:{also_free}", ("tfserving",))


@pytest.mark.parametrize("processes", [1, 2])
def test_a_port_that_is_taken_ends_the_start(serving: Any, echo: Path, processes: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        with pytest.raises(StartupError) as caught:
            serving(echo, port=taken.getsockname()[1], processes=processes)
        assert caught.value.code is Code.PORT_TAKEN
    run = serving(echo)
    assert run.of(FirstRunKey), "a key that nobody could use was not given away"


def test_an_address_that_others_reach_is_refused_before_anything_is_touched(
    serving: Any, echo: Path, tmp_path: Path
) -> None:
    with pytest.raises(StartupError, match="can be reached from other machines"):
        serving(echo, host="0.0.0.0")
    assert not (tmp_path / "data").exists()


def test_a_socket_that_cannot_be_made_ends_the_start(serving: Any, echo: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "server.sock").mkdir(parents=True)
    with pytest.raises(StartupError, match=r"server\.sock cannot be made"):
        serving(echo)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_access_log_that_cannot_be_written_ends_the_start(
    serving: Any, echo: Path, tmp_path: Path, processes: int
) -> None:
    with pytest.raises(StartupError, match="The access log /nowhere/log cannot be written") as caught:
        serving(echo, access_log="/nowhere/log", processes=processes)
    assert "--access-log" in caught.value.fix
    assert Run(tmp_path / "data", {}).has_cleared_up()


# Models


def test_what_is_not_there_ends_the_start_and_frees_the_directory(serving: Any, tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="there is no file or folder"):
        serving(tmp_path / "nothing.onnx")
    assert Run(tmp_path / "data", {}).has_cleared_up()


def test_a_model_that_cannot_be_read_ends_the_start_and_frees_the_directory(serving: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_text("this is no model")
    with pytest.raises(SalverError) as caught:
        serving(broken)
    assert isinstance(caught.value, LoadError | StartupError)
    assert Run(tmp_path / "data", {}).has_cleared_up()


def test_a_directory_that_another_server_holds_is_left_alone(serving: Any, echo: Path, tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "data")
    directory.prepare()
    with directory.lock(), pytest.raises(StartupError) as caught:
        serving(echo)
    assert caught.value.code is Code.DATA_DIRECTORY_LOCKED
    assert not (tmp_path / "data" / "artifacts").exists()


def test_in_a_folder_of_models_what_is_none_is_told(serving: Any, tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "empty").mkdir(parents=True)
    (models / "good.echo").touch()
    (models / "better.echo").touch()
    (models / "bad").mkdir()
    (models / "bad" / "model.toml").write_text("name = 5\n")
    run = serving(models, at={ModelReady: lambda event: end() if event.info.id.model == "good" else None})
    (failed,) = run.of(ModelFailed)
    assert failed.status.source == str(models / "bad")
    assert failed.status.state is VersionState.FAILED
    assert failed.status.reason
    assert [note.text for note in run.of(Noted)] == [f"{models / 'empty'} holds no model"]
    assert "good" in [ready.info.id.model for ready in run.of(ModelReady)]


def test_a_model_whose_interpreter_is_not_there_has_failed_and_the_others_are_served(
    serving: Any, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    (models / "odd").mkdir(parents=True)
    (models / "odd" / "model.echo").touch()
    (models / "odd" / "model.toml").write_text('[environment]\npython = "/nowhere/python"\n')
    (models / "good.echo").touch()
    seen: set[type] = set()

    def note(event: Any) -> None:
        seen.add(type(event))
        if {ModelReady, ModelFailed} <= seen:
            end()

    run = serving(models, at={ModelReady: note, ModelFailed: note})
    (failed,) = run.of(ModelFailed)
    assert "/nowhere/python" in failed.status.reason
    assert "model.toml" in failed.status.fix
    assert [ready.info.id.model for ready in run.of(ModelReady)] == ["good"]


def test_a_model_that_cannot_be_loaded_is_told_with_the_line_of_its_manifest(serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / "model.echo").touch()
    (folder / "model.toml").write_text('\n[[inputs]]\nname = "x"\nconvert = ["paint_it_black"]\n')
    run = serving(folder, at={ModelFailed: end})
    (failed,) = run.of(ModelFailed)
    assert "model.toml, line 4" in failed.status.reason


def test_requests_share_batches_unless_the_model_is_a_handler_of_another_server(
    serving: Any, echo: Path, tmp_path: Path
) -> None:
    handler = tmp_path / "service"
    (handler / "MAR-INF").mkdir(parents=True)
    manifest = {"model": {"modelName": "service", "handler": "service.py:handle"}, "modelServerVersion": "1.0"}
    (handler / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    (handler / "service.py").write_text("def handle(data, context):\n    return ['x' for _ in data or ()]\n")

    def end_with_both(event: ModelReady) -> None:
        ready.append(event.info)
        if len(ready) == 2:
            end()

    ready: list[Any] = []
    serving(echo, handler, at={ModelReady: end_with_both, ModelFailed: end})
    assert {info.id.model: info.batching.max_batch_rows for info in ready} == {"parrot": 64, "service": 1}
