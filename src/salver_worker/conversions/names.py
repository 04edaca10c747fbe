"""Names that were meant: for messages about a name that is not known."""

import difflib
from typing import Iterable


def closest(name: str, known: Iterable[str]) -> str:
    """Words that suggest the known name that was probably meant; empty when none is near."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return '; did you mean "%s"?' % matches[0] if matches else ""


def listed(names: Iterable[str]) -> str:
    """Names in one line, `none` when there are none."""
    return ", ".join(names) or "none"
