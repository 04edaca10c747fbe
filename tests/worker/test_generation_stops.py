"""Text that ends before a word, in one piece and in many."""

from __future__ import annotations

from itertools import pairwise

import pytest

from salver_worker.runtimes.transformers_generation import without_stop
from salver_worker.runtimes.transformers_streaming import before_stops

TEXT = "one two\n\nthree END four"


@pytest.mark.parametrize("stops", [[], ["END"], ["\n\n", "END"], ["never"], ["one"], ["four"], ["o", "two"]])
@pytest.mark.parametrize("cuts", [[], [5], [7, 8, 9], range(1, len(TEXT))])
def test_pieces_make_the_same_text_however_they_are_cut(stops: list[str], cuts: list[int]) -> None:
    pieces = [TEXT[start:end] for start, end in pairwise([0, *cuts, len(TEXT)])]
    found = list(before_stops(pieces, stops))
    assert "".join(found) == without_stop(TEXT, stops)
    assert all(found)


def test_what_cannot_become_a_stop_is_not_kept_back() -> None:
    assert list(before_stops(["a", "b"], [])) == ["a", "b"]
    assert list(before_stops(["abc", "d"], ["xyz"])) == ["a", "b", "cd"]
