"""The hash chain of the audit log."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from salver.store.base import AuditLine
from salver.store.chain import chained, first_broken

MakeLine = Callable[..., AuditLine]


@pytest.fixture
def lines(line: MakeLine) -> list[AuditLine]:
    stored: list[AuditLine] = []
    for number in range(5):
        stored.append(chained(line(f"line {number}"), stored[-1] if stored else None))
    return stored


def test_a_chain_as_it_was_written_is_whole(lines: list[AuditLine]) -> None:
    assert first_broken(lines) is None
    assert first_broken([]) is None


@pytest.mark.parametrize("field", [name for name in AuditLine.__struct_fields__ if name != "sequence"])
def test_a_change_of_any_field_breaks_the_chain_at_its_line(lines: list[AuditLine], field: str) -> None:
    other = 1.5 if field == "at" else "forged"
    lines[2] = msgspec.structs.replace(lines[2], **{field: other})

    assert first_broken(lines) == 3


def test_a_changed_number_breaks_the_chain(lines: list[AuditLine]) -> None:
    lines[2] = msgspec.structs.replace(lines[2], sequence=9)

    assert first_broken(lines) == 9


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_line_taken_out_breaks_the_chain_at_the_next_one(lines: list[AuditLine], taken: int) -> None:
    del lines[taken]

    assert first_broken(lines) == taken + 2


def test_a_changed_line_with_a_fitting_digest_breaks_the_chain_at_the_next_one(lines: list[AuditLine]) -> None:
    lines[2] = chained(msgspec.structs.replace(lines[2], principal="key:other"), lines[1])

    assert first_broken(lines) == 4


def test_text_cannot_wander_from_one_field_to_the_next(line: MakeLine) -> None:
    one, other = line(principal="ab", operation="c"), line(principal="a", operation="bc")

    assert chained(one, None).digest != chained(other, None).digest
