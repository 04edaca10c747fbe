"""Which numbered folders are versions."""

from __future__ import annotations

import pytest

from salver.models.versions import newest, numbered, version_of


@pytest.mark.parametrize(
    ("name", "version"),
    [("1", 1), ("00000123", 123), ("0", 0), ("000", 0), (str(2**63 - 1), 2**63 - 1), ("0" * 30 + "7", 7)],
)
def test_a_number_is_a_version_whatever_its_zeros(name: str, version: int) -> None:
    assert version_of(name) == version


@pytest.mark.parametrize("name", ["", "v1", "-1", "1.0", "1_0", "١", "²", " 1", str(2**63), "9" * 5000])
def test_other_names_are_no_versions(name: str) -> None:
    assert version_of(name) is None


def test_of_two_names_for_one_number_the_shorter_wins() -> None:
    assert numbered(["0003", "3", "003", "logs"]) == {3: "3"}


def test_the_newest_come_first() -> None:
    assert list(newest({1: "1", 12: "12", 3: "3"}, count=2)) == [12, 3]
