"""Models under test: Python files written for a test, whose answers the client can compute by itself."""

from __future__ import annotations

import random
import textwrap
from pathlib import Path
from typing import Any

SEVEN = '''
import os
import signal
import time
from typing import NamedTuple


class Answer(NamedTuple):
    answer: int
    pid: int


def predict(nonce: int, act: str) -> Answer:
    """Answers 7 * nonce + 3, after doing what `act` says."""
    verb, _, argument = act.partition(" ")
    if verb == "sleep":
        time.sleep(float(argument))
    elif verb == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif verb == "raise":
        raise RuntimeError("a secret of the model")
    elif verb == "spin":
        while True:
            pass
    elif verb == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    return Answer(7 * nonce + 3, os.getpid())
'''
"""One row at a time; `act` is "", "sleep SECONDS", "die", "raise", "spin" or "stop"."""


def new_nonce() -> int:
    """A number that no other request of the test run has."""
    return random.getrandbits(52)


def right_answer(nonce: int) -> int:
    return 7 * nonce + 3


def write_model(folder: Path, code: str, **manifest: Any) -> Path:
    """A model's folder: app.py, and a model.toml of the keywords; a keyword that is a dict becomes a table."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text(textwrap.dedent(code))
    plain = {key: value for key, value in manifest.items() if not isinstance(value, dict)}
    tables = {key: value for key, value in manifest.items() if isinstance(value, dict)}
    lines = [_line(key, value) for key, value in plain.items()]
    for name, table in tables.items():
        lines += [f"[{name}]", *(_line(key, value) for key, value in table.items())]
    (folder / "model.toml").write_text("\n".join(lines) + "\n")
    return folder


def _line(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"{key} = {str(value).lower()}"
    return f"{key} = {value!r}" if type(value) is not str else f'{key} = "{value}"'
