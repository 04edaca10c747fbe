"""A model's own program as a worker of this machine: how it is started, and what is told when it cannot be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.replicas.base import WorkerLost
from salver.replicas.local import LocalEngine

Play = Callable[[Any], Any]
TELLS = """
import json, os, sys
facts = {"words": sys.argv[1:], "folder": os.getcwd()}
facts.update(home=os.environ["HOME"], threads=os.environ["OMP_NUM_THREADS"])
print(json.dumps(facts))
"""


@pytest.fixture
def words(play: Play, spec: Any, run_folder: Path) -> Callable[..., str]:
    """What a program prints that ends without a word on its control link; keywords are the spec's fields."""

    def run(*command: str, **fields: Any) -> str:
        async def end() -> str:
            engine = LocalEngine(run_folder, {**os.environ, "PATH": fields.pop("search", os.environ["PATH"])})
            worker = await engine.start(spec(runtime="executable", command=command, **fields), "m-1-1")
            with pytest.raises(WorkerLost):
                await worker.load()
            assert await worker.wait() == "it exited with status 0"
            return "\n".join(worker.log_tail)

        return str(play(end()))

    return run


def write_program(path: Path, code: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)
    return path


def test_it_starts_in_the_models_folder_with_a_home_of_its_own(
    words: Callable[..., str], tmp_path: Path, run_folder: Path
) -> None:
    told = eval(words(str(write_program(tmp_path / "serve", TELLS)), "--x", threads=3, path=str(tmp_path)))
    assert told["folder"] == str(tmp_path)
    assert told["words"][:2] == ["--x", "--control-fd"]
    assert told["home"].startswith(str(run_folder))
    assert told["threads"] == "3"


def test_beside_a_file_it_starts_in_its_folder(words: Callable[..., str], tmp_path: Path) -> None:
    told = eval(words(str(write_program(tmp_path / "serve", TELLS)), path=str(tmp_path / "weights")))
    assert told["folder"] == str(tmp_path)


def test_python_is_the_interpreter_of_the_models_environment(words: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text("import sys; print(sys.executable)")
    assert words("python", "serve.py", path=str(tmp_path)) == sys.executable


def test_a_name_is_looked_for_on_the_path(words: Callable[..., str], tmp_path: Path) -> None:
    write_program(tmp_path / "answers", "print('here')")
    assert words("answers", search=str(tmp_path)) == "here"


@pytest.mark.parametrize("program", ["no-such-program", "/no/such/program"])
def test_a_program_that_is_not_there_is_named(play: Play, spec: Any, run_folder: Path, program: str) -> None:
    with pytest.raises(LoadError, match=f"The program {program} is not there or cannot be run") as caught:
        play(LocalEngine(run_folder, os.environ).start(spec(runtime="executable", command=(program,)), "m-1-1"))
    assert caught.value.code is Code.ENVIRONMENT_BROKEN


def test_a_program_whose_interpreter_is_not_there_is_told_and_leaves_nothing(
    play: Play, spec: Any, run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "serve").write_text("#!/no/such/interpreter\n")
    (tmp_path / "serve").chmod(0o755)
    with pytest.raises(LoadError, match="serve cannot be started: No such file or directory") as caught:
        play(LocalEngine(run_folder, os.environ).start(spec(command=(str(tmp_path / "serve"),)), "m-1-1"))
    assert caught.value.fix == "Correct `command` in model.toml."
    assert [entry.name for entry in run_folder.iterdir()] == ["worker-path"]


def test_what_a_program_started_ends_with_it(
    play: Play, spec: Any, run_folder: Path, tmp_path: Path, alive: Callable[[int], bool]
) -> None:
    write_program(tmp_path / "serve", "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)")

    async def run() -> int:
        worker = await LocalEngine(run_folder, os.environ).start(spec(command=(str(tmp_path / "serve"),)), "m-1-1")
        await worker.wait()
        return int(worker.log_tail[0])

    assert not alive(play(run()))
