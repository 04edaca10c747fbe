import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from salver import __version__
from salver.cli import checks, doctor, version
from salver.cli.main import COMMANDS


def test_help_lists_every_command_and_examples(run):
    ran = run("--help")
    assert ran.code == 0
    assert all(name in ran.out for name in COMMANDS)
    assert "salver serve model.onnx" in ran.out


@pytest.mark.parametrize(
    "arguments",
    [[name] for name in COMMANDS if name not in ("keys", "state")]
    + [["keys", "create"], ["keys"], ["state", "check"], ["state"]],
)
def test_every_command_has_help(run, arguments):
    ran = run(*arguments, "--help")
    assert ran.code == 0
    name = " ".join(arguments)
    assert ran.out.startswith((f"Usage: salver {name}", f"usage: {name} "))  # commands of others have their usage


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_examples(run, command):
    assert "Examples:\n" in run(command, "--help").out


def test_the_version_is_told(run):
    assert run("--version").out == f"salver, version {version.version_text()}\n"


@pytest.mark.parametrize(
    ("origin", "told"), [("ticket.py", __version__), ("ticket.cpython-311.so", f"{__version__} (compiled lane)")]
)
def test_the_version_tells_whether_the_prediction_lane_is_compiled(monkeypatch, origin, told):
    monkeypatch.setattr(version.importlib.util, "find_spec", lambda name: SimpleNamespace(origin=origin))
    assert version.version_text() == told
    assert f"Salver {told} on Python" in checks.check_python().message


def test_the_lane_that_runs_is_the_one_that_is_told():
    lane = importlib.import_module(version.LANE)
    assert version.is_lane_compiled() == (not lane.__file__.endswith(".py"))


@pytest.mark.parametrize(
    ("arguments", "error", "fix"),
    [
        (["serv"], "Did you mean 'serve'?", "`salver --help`"),
        (["serve", "--prt", "1", "x"], "No such option '--prt'", "`salver serve --help`"),
        (["push"], "Missing argument 'PATH'", "`salver push --help`"),
        (["label", "m", "canary"], "Give a version, or --delete", "`salver label --help`"),
        (["route", "m"], "Give weights as VERSION=WEIGHT", "`salver route --help`"),
        (["route", "m", "1:50"], "'1:50' is not VERSION=WEIGHT", "`salver route --help`"),
        (["scale", "m"], "Give a number of replicas", "`salver scale --help`"),
        (["policy", "m", "latest", "3"], "Versions are for the policy", "`salver policy --help`"),
        (["serve", "x", "--port", "http"], "--port: port must be a whole number from 0 to 65535", "Port of all"),
        (["keys", "revoke"], "Missing argument 'ID'", "`salver keys revoke --help`"),
        (["--colour"], "No such option '--colour'", "`salver --help`"),
    ],
)
def test_a_wrong_use_is_two_lines_and_status_2(run, arguments, error, fix):
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    first, second = ran.err.splitlines()
    assert first.startswith("error: ")
    assert error in first
    assert second.startswith("  fix: ")
    assert fix in second


def test_an_unexpected_failure_shows_no_traceback_unless_asked(run, monkeypatch):
    def broken(settings):
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(doctor, "run_checks", broken)
    ran = run("doctor")
    assert ran.code == 1
    assert ran.err.splitlines()[0] == "error: Something failed that should not: ZeroDivisionError: a fault"
    assert "Traceback" not in ran.err
    assert "Traceback" in run("--debug", "doctor").err


def test_ctrl_c_is_quiet(run, monkeypatch):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "run_checks", interrupted)
    ran = run("doctor")
    assert (ran.code, ran.out, ran.err) == (130, "", "")


def test_the_package_runs_as_a_module():
    ran = subprocess.run([sys.executable, "-m", "salver", "--version"], capture_output=True, text=True, check=True)
    assert ran.stdout == f"salver, version {version.version_text()}\n"


def test_help_imports_nothing_heavy():
    program = "import sys; from salver.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"numpy", "rich", "msgspec", "httpx", "sqlalchemy", "asyncio"} & set(ran.stderr.split())
