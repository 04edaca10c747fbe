"""The page on security says what the code does."""

from __future__ import annotations

from pathlib import Path

from salver.access.actions import PERMISSIONS
from salver.access.roles import GRANTS, ROLES

PAGE = Path(__file__).parents[2] / "docs" / "security.md"


def matrix() -> list[list[str]]:
    """The cells of the table of permissions, its head first."""
    lines = PAGE.read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| Permission |"))
    rows = [lines[start]]
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(line)
    return [[cell.strip().strip("`") for cell in row.split("|")[1:-1]] for row in rows]


def test_the_table_of_permissions_is_that_of_the_code() -> None:
    (_, *roles), *rows = matrix()

    assert roles == [role.name for role in ROLES]
    assert [row[0] for row in rows] == [permission.name for permission in PERMISSIONS]
    for permission, *cells in rows:
        assert cells == ["yes" if permission in GRANTS[role] else "" for role in roles], permission
