from collections.abc import Callable

import pytest

from salver.cli.main import main


@pytest.fixture(autouse=True)
def _plain_surroundings(tmp_path, monkeypatch):
    """No settings of the machine that runs the tests: an empty current directory, no SALVER_ variables."""
    import os

    for name in list(os.environ):
        if name.startswith("SALVER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SALVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


class Ran:
    """What one run of the command gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


@pytest.fixture
def run(capsys) -> Callable[..., Ran]:
    """Runs the command in this process."""

    def run_command(*arguments: str) -> Ran:
        code = main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run_command
