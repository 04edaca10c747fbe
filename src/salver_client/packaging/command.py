"""The command `salver package`, which locks and proves: it is called, never imported."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salver_client.packaging.base import Package, failed


def command() -> list[str] | None:
    """How `salver` is started here; None where it is not installed."""
    if importlib.util.find_spec("salver") is not None:
        return [sys.executable, "-m", "salver"]
    found = shutil.which("salver")
    return None if found is None else [found]


def run(start: Sequence[str], path: str, target: Path | None, options: Sequence[str]) -> Package:
    """Have the command make a package of what lies at a path. Raises SalverClientError with its own words."""
    output = [] if target is None else ["--output", str(target)]
    ended = subprocess.run(  # noqa: S603  our own command, with a list of words
        [*start, "package", "make", path, *output, "--json", *options], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise _told(ended.stderr)
    made = json.loads(ended.stdout)
    return _package(made)


def _package(made: dict[str, Any]) -> Package:
    record = made["record"]
    return Package(
        path=Path(made["path"]),
        name=record["name"],
        digest=made["digest"],
        is_locked=made["packages"] > 0,
        is_proved=record.get("proved_with") is not None,
        requirements=tuple(record.get("requirements", ())),
        signature=record.get("signature"),
        notes=tuple(made["notes"]),
    )


def _told(text: str) -> Exception:
    """The two lines in which the command says what is wrong, as an error."""
    found = re.search(r"^error: (.*?)(?:^  fix: (.*?))?\Z", text, re.DOTALL | re.MULTILINE)
    if found is None:
        return failed(f"`salver package` ended without a reason: {text[-500:]}", "Run it in a shell.")
    return failed(found[1].strip(), (found[2] or "").strip())
