"""An installer has the files that it needs, and no others."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from salver.replicas.environments import launcher
from salver.replicas.environments.cage import SYSTEM, WRITABLE, cage, local_paths

PYTHON = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
needs_landlock = pytest.mark.skipif(
    sys.platform != "linux" or not launcher.landlock_version(ctypes.CDLL(None, use_errno=True)),
    reason="NO LANDLOCK in this kernel: installers have no cage",
)


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("", []),
        ("https://index.example/simple", []),
        ("https://a.example/simple file:///mirror /wheels,/more%20wheels", ["/mirror", "/wheels", "/more%20wheels"]),
        ("file:///with%20space", ["/with space"]),
        ("internal=file:///mirror", ["/mirror"]),
        ("internal=https://a.example/?x=/no", []),
        ("relative/folder", []),
    ],
)
def test_files_and_folders_are_found_among_addresses(text: str, paths: list[str]) -> None:
    assert local_paths(text) == paths


def test_it_holds_the_system_the_interpreters_and_what_variables_name() -> None:
    made = cage(["/opt/python", ""], {"UV_FIND_LINKS": "/wheels", "SSL_CERT_FILE": "/certs/ca.pem"}, ["/shelf"])
    assert made.readable == (*SYSTEM, "/opt/python", "/wheels", "/certs/ca.pem")
    assert made.writable == (*WRITABLE, "/shelf")


def test_files_beside_an_index_of_this_machine_are_inside_but_not_all_there_is() -> None:
    made = cage([], {"UV_INDEX": "file:///mirror/simple", "UV_DEFAULT_INDEX": "file:///simple"}, ["/shelf"])
    assert made.readable == (*SYSTEM, "/simple", "/mirror/simple", "/mirror")


def test_a_path_that_cannot_be_named_is_left_out() -> None:
    made = cage(["/odd:folder"], {}, ["/shelf", "/other:shelf"])
    assert made.readable == SYSTEM
    assert made.writable == (*WRITABLE, "/shelf")


TRIES = """
import os, sys
for what in sys.argv[1:]:
    try:
        eval(what)
    except OSError as error:
        print("refused")
    else:
        print("done")
"""


def tried(readable: list[str], writable: list[str], *tries: str) -> list[str]:
    """What becomes of each attempt inside."""
    inside = [*SYSTEM, str(Path(PYTHON).parent.parent), *readable]
    command = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), "0", "0"]
    command += [":".join(inside), ":".join(writable), PYTHON, "-I", "-c", TRIES, *tries]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@needs_landlock
def test_files_outside_are_not_read_nor_changed(tmp_path: Path) -> None:
    secret, room, wheels = tmp_path / "secret", tmp_path / "room", tmp_path / "wheels"
    secret.write_text("s")
    room.mkdir()
    wheels.mkdir()
    (wheels / "a").write_text("a")
    assert tried(
        [str(wheels)],
        [*WRITABLE, str(room)],
        f"open({str(secret)!r})",
        f"open({str(secret)!r}, 'w')",
        f"os.listdir({str(tmp_path)!r})",
        f"open({str(wheels / 'a')!r})",
        f"open({str(wheels / 'b')!r}, 'w')",
        f"open({str(room / 'a')!r}, 'w')",
        f"os.makedirs({str(room / 'b')!r})",
        f"os.link({str(room / 'a')!r}, {str(room / 'b' / 'a')!r})",
        "open('/dev/null', 'w')",
    ) == ["refused", "refused", "refused", "done", "refused", "done", "done", "done", "done"]


@needs_landlock
def test_what_it_starts_is_inside_as_well_and_signals_nobody_outside(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    attempts = [f"os.execlp('cat', 'cat', {str(secret)!r})"]
    command = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), "0", "0"]
    command += [":".join([*SYSTEM, str(Path(PYTHON).parent.parent)]), "/dev/null", PYTHON, "-I", "-c", TRIES, *attempts]
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode != 0
    if launcher.landlock_version(ctypes.CDLL(None, use_errno=True)) >= 6:
        assert tried([], ["/dev/null"], f"os.kill({os.getpid()}, 0)") == ["refused"]


def test_nothing_writable_is_no_cage(tmp_path: Path) -> None:
    assert tried([], [], f"open({str(tmp_path / 'a')!r}, 'w')") == ["done"]


def test_no_landlock_is_no_cage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "landlock_version", lambda _: 0)
    launcher.enclose(ctypes.CDLL(None, use_errno=True), [], ["/nowhere"])
    assert os.listdir("/")
