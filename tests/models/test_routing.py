"""Which version answers a caller of a model with a route."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from salver.access.permit import ANYONE
from salver.models.routing import choose, share_of, sticky_key
from salver.types import ModelRoute

places = st.floats(0.0, 1.0, exclude_max=True)
weight_maps = st.dictionaries(st.integers(0, 9), st.integers(1, 50), min_size=1, max_size=5)
STEPS = 1024  # a power of two, so that every place is a float exactly


def shares(weights: dict[int, int], serving: Collection[int]) -> dict[int | None, Fraction]:
    """Who answers how often, at places spread evenly over the line."""
    route = ModelRoute(weights=weights)
    counts = Counter(choose(route, step / STEPS, serving) for step in range(STEPS))
    return {version: Fraction(count, STEPS) for version, count in counts.items()}


# The place of a caller


@pytest.mark.parametrize(
    ("model", "key", "place"),
    [
        ("iris", "key:alice", 0.692920409619161),
        ("iris", "key:bob", 0.449031449372576),
        ("digits", "key:alice", 0.20715417959937577),
        ("iris", "", 0.379299177186848),
        ("iris", "Zoë\udcff", 0.7492246368415133),
    ],
)
def test_a_caller_has_the_same_place_for_ever(model: str, key: str, place: float) -> None:
    """These values may never change: callers would change versions with a new release."""
    assert share_of(model, key) == place


def test_a_place_is_the_first_53_bits_of_the_sha_256_of_model_and_key() -> None:
    bits = int(hashlib.sha256(b"iris\0key:alice").hexdigest(), 16) >> (256 - 53)
    assert share_of("iris", "key:alice") == bits / 2**53


@given(st.text(), st.text())
def test_a_place_is_at_least_0_and_below_1(model: str, key: str) -> None:
    assert 0.0 <= share_of(model, key) < 1.0


def test_places_are_spread_evenly() -> None:
    """Chi-squared over 64 parts: 63 degrees of freedom, beyond 120 once in a hundred thousand times."""
    callers = 20_000
    counts = Counter(int(share_of("iris", f"caller {number}") * 64) for number in range(callers))
    expected = callers / 64
    assert sum((counts[part] - expected) ** 2 / expected for part in range(64)) < 120


# What is sticky


def test_a_route_is_sticky_by_who_asks_by_a_header_or_not_at_all() -> None:
    headers = {"x-user": "u7"}
    rules = {"principal": "key:alice", "header:X-User": "u7", "header:x-other": None, "": None}
    for rule, key in rules.items():
        assert sticky_key(ModelRoute(weights={1: 1}, sticky=rule), "key:alice", headers.get) == key


def test_callers_without_a_key_are_not_taken_for_one_caller() -> None:
    assert sticky_key(ModelRoute(weights={1: 1}, sticky="principal"), ANYONE.id, {}.get) is None


# The choice


def test_the_versions_lie_on_the_line_lowest_first() -> None:
    route = ModelRoute(weights={4: 10, 3: 90})
    assert [choose(route, place, {3, 4}) for place in (0.0, 0.899, 0.9, 0.999)] == [3, 3, 4, 4]


def test_shares_are_the_weights_exactly() -> None:
    assert shares({1: 5, 2: 2, 3: 1}, {1, 2, 3}) == {1: Fraction(5, 8), 2: Fraction(2, 8), 3: Fraction(1, 8)}


def test_callers_come_out_as_the_weights_say() -> None:
    route = ModelRoute(weights={3: 90, 4: 10})
    counts = Counter(choose(route, share_of("iris", f"caller {number}"), {3, 4}) for number in range(20_000))
    assert counts[4] == pytest.approx(2_000, abs=200)


@given(weight_maps, places, st.frozensets(st.integers(0, 9)))
def test_one_that_serves_and_has_a_weight_answers_or_none_when_there_is_none(weights, place, serving) -> None:
    chosen = choose(ModelRoute(weights=weights), place, serving)
    assert chosen in (serving & set(weights) or {None})


@given(weight_maps, places, st.permutations(range(10)), st.integers(1, 1000))
def test_only_the_proportions_of_the_weights_count(weights, place, order, factor) -> None:
    other = {version: weights[version] * factor for version in order if version in weights}
    assert choose(ModelRoute(weights=weights), place, set(order)) == choose(
        ModelRoute(weights=other), place, frozenset(order)
    )


@given(weight_maps, places, st.frozensets(st.integers(0, 9)))
def test_who_stands_with_a_version_that_serves_stays_whatever_becomes_of_others(weights, place, serving) -> None:
    route = ModelRoute(weights=weights)
    home = choose(route, place, set(weights))
    assume(home in serving)
    assert choose(route, place, serving) == home


@given(weight_maps, st.frozensets(st.integers(0, 9)))
def test_the_share_of_those_that_do_not_serve_falls_to_the_others_in_proportion(weights, serving) -> None:
    alive = serving & set(weights)
    assume(alive)
    total = sum(weights[version] for version in alive)
    found = shares(weights, alive)
    assert set(found) <= alive
    for version in alive:  # each of the few intervals may be off by the width of a step at both ends
        assert found.get(version, 0) == pytest.approx(weights[version] / total, abs=2 * len(weights) ** 2 / STEPS)


def test_the_share_of_one_that_does_not_serve_is_divided_exactly() -> None:
    assert shares({1: 2, 2: 4, 3: 2}, {2}) == {2: 1}
    assert shares({1: 1, 2: 4, 3: 3}, {1, 3}) == {1: Fraction(1, 4), 3: Fraction(3, 4)}


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 40), st.integers(0, 40), places, st.data())
def test_weight_that_moves_between_two_versions_moves_only_callers_of_the_loser(
    loser, winner, weight, other, place, data
) -> None:
    assume(loser != winner)
    moved = data.draw(st.integers(0, weight))
    before = ModelRoute(weights={loser: weight, winner: other + 1})
    after = ModelRoute(weights={loser: weight - moved, winner: other + 1 + moved})
    was, is_now = choose(before, place, range(10)), choose(after, place, range(10))
    assert was == is_now or (was, is_now) == (loser, winner)


@given(weight_maps, places, st.data())
def test_among_several_nobody_outside_moves_and_nobody_leaves_the_winner(weights, place, data) -> None:
    assume(len(weights) > 1)
    loser, winner = data.draw(st.permutations(sorted(weights)))[:2]
    moved = data.draw(st.integers(0, weights[loser]))
    after = {**weights, loser: weights[loser] - moved, winner: weights[winner] + moved}
    was, is_now = (choose(ModelRoute(weights=each), place, range(10)) for each in (weights, after))
    assert was is not None
    assert is_now is not None
    between = range(min(loser, winner), max(loser, winner) + 1)
    if was != is_now:
        assert was in between
        assert is_now in between
        assert was != winner
        assert (is_now > was) == (winner > loser)  # towards the winner
    if not any(loser < version < winner or winner < version < loser for version in weights):
        assert was == is_now or (was, is_now) == (loser, winner)


def test_weights_of_nothing_choose_nothing() -> None:
    assert choose(ModelRoute(weights={}), 0.5, {1}) is None
    assert choose(ModelRoute(weights={1: 0}), 0.5, {1}) is None
    assert choose(ModelRoute(weights={1: 0, 2: 5}), 0.0, {1, 2}) == 2
