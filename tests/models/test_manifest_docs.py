"""The reference of model.toml names every key, and its examples are right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from salver.models.manifestfile import parse_manifest
from salver.models.manifestwords import SECTIONS
from salver_worker.runtimes.specs import SPECS

PAGE = (Path(__file__).parents[2] / "docs" / "manifest.md").read_text()


@pytest.mark.parametrize(
    ("section", "key"),
    [
        (section, key)
        for section, struct in SECTIONS.items()
        for key in struct.__struct_fields__
        if (key,) not in SECTIONS or section
    ],
)
def test_every_key_has_a_row(section: tuple[str, ...], key: str) -> None:
    assert re.search(rf"^\| `{key}` \|", PAGE, re.MULTILINE), f"{'.'.join((*section, key))} is not in docs/manifest.md"


@pytest.mark.parametrize("section", [section[0] for section in SECTIONS if section])
def test_every_section_has_a_heading(section: str) -> None:
    assert re.search(rf"^## .*\[{section}\]", PAGE, re.MULTILINE)


def test_every_runtime_is_named() -> None:
    assert all(f"`{spec.name}`" in PAGE for spec in SPECS)


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_every_example_is_a_manifest(example: str) -> None:
    assert parse_manifest(example, "model.toml").name
