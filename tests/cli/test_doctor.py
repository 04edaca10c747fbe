import json
import os
import resource
import socket

import pytest

from salver.cli.checks import (
    FREE_AT_ALL,
    FREE_ENOUGH,
    Finding,
    State,
    check_cage,
    check_clock,
    check_data_directory,
    check_open_files,
    check_optional_packages,
    check_port,
    check_ports,
    check_python,
    check_space,
    check_state,
)
from salver.cli.workercheck import check_worker
from salver.net.base import NetSettings
from salver.processes.base import ProcessSettings
from salver.store.directory import DataDirectory, RunningServer
from salver.store.sql import open_store


def settings_for(folder) -> ProcessSettings:
    return ProcessSettings(data_dir=str(folder))


@pytest.fixture
def taken_port():
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


def test_on_a_machine_where_all_is_well_the_status_is_0(run, free_port):
    ran = run("doctor", "--port", str(free_port))
    assert ran.code == 0, ran.out
    subjects = {line.split()[1] for line in ran.out.splitlines() if not line.startswith(" ")}
    assert {"settings", "python", "data", "disk", "port", "open", "clock", "worker"} <= subjects


def test_a_real_worker_is_started(run, free_port):
    (worker,) = [
        row for row in json.loads(run("doctor", "--json", "--port", str(free_port)).out) if row["subject"] == "worker"
    ]
    assert worker["state"] == "ok"
    assert "started, loaded and stopped" in worker["message"]


@pytest.mark.parametrize("python", ["/nowhere/python3", "/bin/false"])
def test_an_interpreter_that_starts_no_worker_is_wrong(python):
    found = check_worker(python)
    assert found.state is State.WRONG
    assert found.fix


def test_a_taken_port_is_told_with_its_holder_and_the_flag(run, taken_port):
    ran = run("doctor", "--port", str(taken_port))
    assert ran.code == 1
    assert f"127.0.0.1:{taken_port} is taken by process {os.getpid()}" in ran.out
    assert "change --port" in ran.out


def test_wrong_settings_are_a_finding_and_the_rest_is_checked(run, tmp_path):
    (tmp_path / "salver.toml").write_text("[net]\nprot = 1\n")
    ran = run("doctor")
    assert ran.code == 1
    assert "salver.toml line 2" in ran.out
    assert "worker" in ran.out


def test_python_is_described():
    assert check_python().state is State.FINE


def test_whether_installers_are_caged_is_told():
    assert check_cage(True).state is State.FINE
    missing = check_cage(False)
    assert (missing.state, "5.13" in missing.fix) == (State.NOTE, True)


def test_each_runtime_tells_what_it_misses():
    found = list(check_optional_packages(lambda name: name in ("scikit-learn", "joblib")))
    (missing,) = [finding for finding in found if finding.state is State.NOTE]
    assert "onnxruntime not installed" in missing.message
    assert "pip install 'salver[onnx]'" in missing.fix
    texts = [finding.message for finding in found]
    assert "xgboost-cpu not installed: a model of XGBoost gets an environment of its own" in texts


def test_a_data_directory_to_be_made_is_fine_and_stays_unmade(tmp_path):
    first, space = check_data_directory(settings_for(tmp_path / "a" / "b"))
    assert (first.state, space.subject) == (State.FINE, "disk space")
    assert not (tmp_path / "a").exists()


def test_a_usable_data_directory_is_fine(tmp_path):
    folder = tmp_path / "d"
    DataDirectory(folder).prepare()
    assert next(check_data_directory(settings_for(folder))).message == f"{folder} can be used"


def test_a_running_server_on_the_data_directory_is_a_note(tmp_path):
    directory = DataDirectory(tmp_path / "d")
    directory.prepare()
    directory.announce(RunningServer(pid=os.getpid(), urls=("http://127.0.0.1:1",)))
    found = next(check_data_directory(settings_for(directory.path)))
    assert found.state is State.NOTE
    assert f"process {os.getpid()} at http://127.0.0.1:1" in found.message


def test_a_data_directory_that_others_may_write_to_is_wrong(tmp_path):
    folder = tmp_path / "d"
    folder.mkdir()
    folder.chmod(0o777)
    found = next(check_data_directory(settings_for(folder)))
    assert found.state is State.WRONG
    assert "every user may write to it" in found.message


def test_a_data_directory_below_a_file_is_wrong(tmp_path):
    (tmp_path / "file").touch(mode=0o444)
    found = next(check_data_directory(settings_for(tmp_path / "file" / "d")))
    assert found.state is State.WRONG
    assert "--data-dir" in found.fix


@pytest.mark.parametrize(
    ("free", "state"),
    [(FREE_ENOUGH, State.FINE), (FREE_ENOUGH - 1, State.NOTE), (FREE_AT_ALL - 1, State.WRONG)],
)
def test_little_space_is_a_note_and_none_is_wrong(tmp_path, free, state):
    assert check_space(tmp_path, free).state is state


def test_the_ports_of_other_servers_are_checked_when_asked_for(free_port):
    found = list(check_ports(NetSettings(port=free_port, compat=("tfserving",))))
    assert len(found) == 3  # the port of all protocols, that of REST, that of gRPC


def test_a_chosen_port_is_always_free():
    assert check_port("127.0.0.1", 0, "--port").state is State.FINE


def test_an_address_of_no_interface_is_wrong():
    found = check_port("192.0.2.1", 8080, "--port")
    assert found.state is State.WRONG
    assert "--host" in found.fix


def test_too_few_open_files_for_the_connections_are_a_note():
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert check_open_files(NetSettings(max_connections=1)).state is State.FINE
    assert check_open_files(NetSettings(max_connections=allowed)).state is State.NOTE


def test_a_clock_before_the_installation_is_wrong():
    assert check_clock(1_000_000_000, 999_999_999).state is State.FINE
    assert check_clock(0, 1_000_000_000).state is State.WRONG


def test_a_finding_reads_as_a_row():
    assert Finding("clock", State.FINE, "12:00") == Finding("clock", State.FINE, "12:00", "")


def test_a_database_for_the_state_is_tried(postgres_url):
    (new,) = check_state(postgres_url)
    assert (new.state, new.message.endswith("its tables will be made at the first start")) == (State.FINE, True)
    open_store(postgres_url).close()
    (made,) = check_state(postgres_url)
    assert (made.state, made.message.endswith("can be reached")) == (State.FINE, True)


def test_a_database_that_is_away_or_cannot_be_is_wrong():
    (away,) = check_state("postgresql://salver:secret@127.0.0.1:1/salver")
    (strange,) = check_state("mysql://salver:secret@db/salver")
    assert (away.state, strange.state) == (State.WRONG, State.WRONG)
    assert "secret" not in f"{away} {strange}"


def test_nothing_is_said_of_a_database_where_none_is_named():
    assert list(check_state("")) == []
