"""Pages whose commands are run as they stand there, and whose answers are compared with what they show."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_commands import Reader, same, steps

SECTION = "## In sixty seconds"


@pytest.fixture
def follow(root: Path, tmp_path: Path) -> Iterator[Callable[[str], list[tuple[str, str]]]]:
    """Follows a page, in a folder with the examples in it."""
    if shutil.which("curl") is None:
        pytest.skip("NO CURL: the commands of the pages need it")
    shutil.copytree(root / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with tempfile.TemporaryDirectory(prefix="salver-") as home:  # short: the name of a Unix socket has few bytes
        yield Reader(tmp_path, Path(home)).follow


@pytest.mark.parametrize("name", ["executable", "function", "mms"])
def test_an_example_does_what_its_page_shows(name, root, follow):
    compared = follow((root / "examples" / name / "README.md").read_text())
    assert compared
    for printed, shown in compared:
        assert printed == shown


@pytest.mark.slow
def test_the_readme_shows_what_a_start_prints_and_what_the_model_answers(root, follow):
    section = (root / "README.md").read_text().partition(SECTION)[2].partition("\n## ")[0]
    compared = follow(section)
    assert len(compared) == len(steps(section)) - 1  # all but the one that makes the model
    for printed, shown in compared:
        assert printed == shown


@pytest.mark.slow
@pytest.mark.timeout(900)  # packages are fetched and installed
def test_the_page_of_packages_shows_how_one_is_made_and_served(root, follow, tmp_path):
    page = (root / "docs" / "packaging.md").read_text()
    compared = follow(page.partition("## In a minute")[2].partition("From a program")[0])
    assert compared
    for printed, shown in compared:
        assert printed == shown
    program = page.partition("```python\n")[2].partition("```")[0]
    own = {**os.environ, "SALVER_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = tmp_path.glob("twice@*.salver")
    assert done.stdout.startswith(made.name)


def test_what_differs_from_start_to_start_is_not_compared():
    assert same("settings x 1\nkey   msk_abc_d  \n\n") == same("key   msk_...\n")
    assert same("[0.98165, 4.7]") == same("[0.98166, 4.7]") != same("[0.98165, 4.8]")
    assert same("ready a") != same("ready b")


def test_a_block_of_text_belongs_to_the_commands_before_it():
    page = "```sh\na\n```\nsays\n```text\nA\n```\n```sh\nb\n```\n```sh\nc\n```\n```json\n{}\n```\n"
    assert steps(page) == [("a\n", "A\n"), ("b\n", None), ("c\n", None)]
