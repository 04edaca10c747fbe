"""The pages of decisions: numbered without a gap, listed, each with the same four parts."""

from __future__ import annotations

import re

import pytest

PARTS = ["Context", "Decision", "Why", "Consequences"]


@pytest.fixture
def decisions(root):
    return sorted((root / "docs" / "decisions").glob("[0-9]*.md"))


def test_decisions_are_numbered_without_a_gap(decisions):
    assert [int(page.name[:4]) for page in decisions] == list(range(1, len(decisions) + 1))


def test_every_decision_begins_with_its_number_and_has_its_four_parts(decisions):
    for page in decisions:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} "), page.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == PARTS, page.name


def test_the_list_names_every_decision_in_order(decisions, root):
    text = (root / "docs" / "decisions" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\((\d{4}[\w-]+\.md)\)", text) == [page.name for page in decisions]
