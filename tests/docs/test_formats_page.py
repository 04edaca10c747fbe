"""The page of the formats: its tables are current, and its commands give what it shows."""

from __future__ import annotations

import runpy
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from page_commands import Reader

from salver.serving.payload.coercion import FOUND_IN, SOURCES, TABLE, Group, Source
from salver.serving.payload.formats import READERS


@pytest.fixture
def text(root: Path) -> str:
    return (root / "docs" / "formats.md").read_text()


@pytest.fixture
def follow(root: Path, tmp_path: Path) -> Iterator[Callable[[str], list[tuple[str, str]]]]:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL: the commands of the pages need it")
    shutil.copytree(root / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    with tempfile.TemporaryDirectory(prefix="salver-") as home:  # short: the name of a Unix socket has few bytes
        yield Reader(tmp_path, Path(home)).follow


def test_its_tables_are_current(root: Path, text: str) -> None:
    page = runpy.run_path(str(root / "scripts" / "docs_formats.py"))["page"]
    assert page(text) == text, "run scripts/docs"


def test_the_table_of_coercions_is_whole() -> None:
    assert set(TABLE) == set(Source) == set(FOUND_IN) >= set(SOURCES.values())
    assert all(set(rules) == set(Group) for rules in TABLE.values())


def test_it_names_every_content_type_that_is_read(text: str) -> None:
    assert [kind for kind in READERS if f"`{kind}`" not in text and kind != "application/npz"] == []


@pytest.mark.slow
def test_its_commands_give_what_it_shows(text: str, follow: Callable[[str], list[tuple[str, str]]]) -> None:
    compared = follow(text)
    assert len(compared) == text.count("```text")
    for printed, shown in compared:
        assert printed == shown
