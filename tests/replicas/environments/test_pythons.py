"""Which interpreter is meant."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError
from salver.replicas.environments.base import Interpreter
from salver.replicas.environments.pythons import choose, is_found_by_version, is_range, is_version

OWN, OLD, NEW, NEWER = (
    Interpreter(path=f"/usr/bin/python{version}", version=version, platform="cpython linux-x86_64")
    for version in ("3.11.7", "3.8.18", "3.12.1", "3.13.0")
)
KNOWN = (OLD, NEW, NEWER, OWN)


@pytest.mark.parametrize(
    ("python", "chosen"),
    [
        ("", OWN),
        ("3.8", OLD),
        ("3.8.2", OLD),
        ("3.11", OWN),
        (">=3.9", OWN),
        (">=3.12", NEWER),
        ("<3.11", OLD),
        ("==3.12.*", NEW),
        ("==3.12.4", NEW),
        ("~=3.8.2", OLD),
        (">=3.8,<3.11", OLD),
    ],
)
def test_a_version_or_a_range_chooses_among_those_that_are_there(python: str, chosen: Interpreter) -> None:
    assert choose(python, OWN, KNOWN) == chosen


def test_of_one_series_the_first_that_is_known_is_taken() -> None:
    other = Interpreter(path="/opt/python3.8", version="3.8.20", platform="cpython linux-x86_64")
    assert choose("3.8", OWN, (other, OLD)) == other


def test_what_is_not_there_is_an_error_that_lists_what_is() -> None:
    with pytest.raises(LoadError, match=r"Python 3\.6, and the interpreters here are 3\.11\.7, 3\.8\.18") as caught:
        choose("3.6", OWN, (OLD,))
    assert caught.value.code is Code.ENVIRONMENT_BROKEN
    assert "interpreters" in caught.value.fix


@pytest.mark.parametrize(
    ("python", "by_version"),
    [("", True), ("3.8", True), ("3.8.1", True), (">=3.8", True), ("python3.8", False), ("/x/python", False)],
)
def test_paths_and_commands_are_no_versions(python: str, by_version: bool) -> None:
    assert is_found_by_version(python) is by_version


def test_what_looks_like_a_range_and_is_none_is_none() -> None:
    assert not is_range(">=x")
    assert not is_range("")
    assert is_version("3.13")
    assert not is_version("2.7")
