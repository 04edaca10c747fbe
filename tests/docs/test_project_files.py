"""What no file of the project may hold. The patterns are put together here so that they do not match themselves."""

import re
import subprocess
from pathlib import Path

import pytest

MACHINE_PATHS = re.compile(
    r"(?<![A-Za-z0-9_.}])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "home/" + "[a-z]+")) + r")/"
)
INDEX_ADDRESSES = re.compile(
    "|".join(("py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.org", "deb" + r"ian\.org"))
)
UNFINISHED = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", "NotImplemented" + "Error")))
PERSONAL_TOOLS = re.compile(r"\bsub" + r"agents?\b", re.IGNORECASE)


def matches(pattern: re.Pattern[str], files: list[Path], root: Path) -> list[str]:
    """Each line that matches, as `file:line: text`."""
    found = []
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        name = path.relative_to(root)
        found += [f"{name}:{number}: {line.strip()}" for number, line in enumerate(lines, 1) if pattern.search(line)]
    return found


@pytest.mark.parametrize(
    "pattern",
    [MACHINE_PATHS, INDEX_ADDRESSES, UNFINISHED, PERSONAL_TOOLS],
    ids=["machine paths", "index addresses", "unfinished work", "tools of one person"],
)
def test_no_file_holds(pattern, project_files, root):
    assert matches(pattern, project_files, root) == []


def test_the_lock_pins_every_package_by_hash_and_names_no_address(root):
    lock = (root / "requirements.lock").read_text()
    assert "://" not in lock
    packages = re.findall(r"^\S+==\S+.*$", lock, re.MULTILINE)
    assert packages
    assert all(line.endswith("\\") for line in packages)


def test_scripts_can_be_run(root):
    scripts = [*(root / "scripts").iterdir(), root / ".ci" / "run"]
    assert [path.name for path in scripts if path.is_file() and not path.stat().st_mode & 0o100] == []
    assert all(path.read_text().startswith("#!/usr/bin/env ") for path in scripts if path.is_file())


def test_shell_scripts_are_valid_bash(root):
    scripts = [path for path in (*(root / "scripts").iterdir(), root / ".ci" / "run") if path.is_file()]
    shell = [path for path in scripts if path.read_text().startswith("#!/usr/bin/env bash")]
    assert [path.name for path in shell if subprocess.run(["bash", "-n", path], check=False).returncode] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATHS, "open('" + "/ro" + "ot/x')"),
        (INDEX_ADDRESSES, "https://py" + "pi.org/simple"),
        (UNFINISHED, "# TO" + "DO: later"),
    ],
)
def test_the_patterns_match_what_they_are_for(pattern, text):
    assert pattern.search(text)
