"""Files and names of the code that pages speak of."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_tables import table, words

from salver.processes.doors import ALL_WIRES

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`((?:[\w.-]+/)*\w+\.py|(?:[\w.-]+/)+)(?:: ([\w.]+))?`")
"""A file or a folder, and a name in it: `net/edge.py: Edge.drain`."""
ROOTS = ("", "src", "src/salver", "src/salver_worker")
DRAWN = re.compile(r"(?<![\w/.])((?:\w+/)+\w+\.py)")


def named(page: Path) -> Iterator[tuple[str, str]]:
    """Each file or folder that a page about the code names, with the name in it, if there is one."""
    text = page.read_text(encoding="utf-8")
    yield from NAMED.findall(FENCE.sub("", text))
    yield from ((path, "") for fence in FENCE.findall(text) for path in DRAWN.findall(fence))


def found(root: Path, path: str) -> Path | None:
    return next((place for start in ROOTS if (place := root / start / path).exists()), None)


def defines(tree: ast.AST, names: list[str]) -> bool:
    """Whether a class, function, attribute or constant of this path is defined there."""
    first, *rest = names
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == first:
            return not rest or defines(node, rest)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if not rest and any(isinstance(target, ast.Name) and target.id == first for target in targets):
            return True
    return False


@pytest.fixture
def pages_about_code(root: Path) -> list[Path]:
    docs = root / "docs"
    names = ("request.md", "architecture.md", *(page.name for page in sorted(docs.glob("adding-a*.md"))))
    return [*(docs / name for name in names), *sorted((docs / "decisions").glob("*.md"))]


def test_every_file_and_name_that_a_page_about_the_code_gives_exists(pages_about_code, root):
    missing = []
    for page in pages_about_code:
        for path, name in named(page):
            place = found(root, path)
            if place is None or (name and not defines(ast.parse(place.read_text(encoding="utf-8")), name.split("."))):
                missing.append(f"{page.name}: {path} {name}".strip())
    assert missing == []


def test_the_page_on_a_request_names_what_it_speaks_of(root):
    assert len(list(named(root / "docs" / "request.md"))) > 20


def test_the_packages_are_told_in_the_order_in_which_they_may_look(root):
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "layers")
    order = [part.strip().removeprefix("salver.") for layer in layers for part in layer.split("|")]
    rows = table(root / "docs" / "architecture.md", "## Packages")
    assert [name.removesuffix(".py") for cells in rows for name in words(cells[0])] == order
    arrows = re.search(r"^cli → .*$", (root / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert arrows is not None
    assert re.split(r" → |, ", arrows[0]) == [name for name in order if name not in ("events", "types", "errors")]


def test_the_glossary_names_every_wire(root):
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    meanings = dict(re.findall(r"^\| ([\w ,]+?) \| (.*) \|$", text, re.MULTILINE))
    assert set(re.findall(r"`([\w-]+)`", meanings["wire"])) == {*ALL_WIRES, "mms-management", "openinference-metrics"}


def test_no_word_of_the_glossary_is_there_twice(root):
    text = (root / "docs" / "glossary.md").read_text(encoding="utf-8")
    rows = [word for word in re.findall(r"^\| ([\w ,]+?) \| ", text, re.MULTILINE) if word != "word"]
    assert sorted(rows) == sorted(set(rows))


@pytest.mark.parametrize(
    ("names", "is_there"),
    [("Edge", True), ("Edge.drain", True), ("LIMIT", True), ("Edge.limit", True), ("Edge.gone", False), ("x", False)],
)
def test_a_name_is_found_where_it_is_defined(names, is_there):
    tree = ast.parse("LIMIT = 1\nclass Edge:\n    limit: int = 2\n    def drain(self): ...\n")
    assert defines(tree, names.split(".")) is is_there
