"""Which version answers a caller, where a model has a route. Pure and replayable: the same arguments, the same answer.

A caller has a place in [0, 1). The versions of a route, lowest first, lie on that line as intervals, each as long as
its weight's share of all weights, so the shares are exact. The laws, which the tests prove:

- A version that does not serve gets nothing. Its interval is divided among those that do, in proportion to their
  weights: their callers stay where they are, and come back with it.
- Weight that moves between two versions with none between them moves exactly as many callers, from the one that lost
  it to the one that gained it, and nobody else. That is every change of a route with two versions.
- Weight that moves between two versions with others between them moves nobody outside of these, and nobody away from
  the version that gained it; each version between them hands on as much as it takes over. A rule that knows nothing but
  the weights cannot move the fewest for every two of three versions.
- Only the proportions count: twice all weights is the same route.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping

from salver.access.permit import ANYONE
from salver.types import ModelRoute

PRINCIPAL = "principal"
"""The `sticky` of a route that keeps a caller with one version by who it is."""
HEADER = "header:"
"""How the `sticky` of a route begins that goes by the value of a header, whose name follows."""

_PLACES = 1 << 53
"""A place is a whole number of this many parts, so that a float holds it exactly."""


def share_of(model: str, key: str) -> float:
    """A caller's place in [0, 1) for a model: the same for ever, on every machine, in every release.

    It is the first 53 bits of the SHA-256 of the model's name, a zero byte and the key, all in UTF-8, as a fraction.
    """
    text = f"{model}\0{key}".encode("utf-8", "surrogatepass")
    number = int.from_bytes(hashlib.sha256(text).digest()[:8], "big")
    return (number >> 11) / _PLACES


def sticky_key(route: ModelRoute, principal: str, header: Callable[[str], str | None]) -> str | None:
    """What keeps the caller with one version: the key for `share_of`, or None where chance decides.

    `principal` is the id of who asks; `header` gives the value of a header by its name in lower case. Chance decides
    for callers without a key, who may be many, and for those who do not send the header.
    """
    if route.sticky == PRINCIPAL:
        return None if principal == ANYONE.id else principal
    if route.sticky.startswith(HEADER):
        return header(route.sticky.removeprefix(HEADER).lower())
    return None


def choose(route: ModelRoute, place: float, serving: Collection[int]) -> int | None:
    """The version that answers whoever stands at `place` in [0, 1); None when no version of the route serves."""
    version, inside, length = _find(route.weights, int(place * _PLACES), _PLACES)
    if version is None or version in serving:
        return version
    alive = {number: weight for number, weight in route.weights.items() if number in serving}
    return _find(alive, inside, length)[0]


def _find(weights: Mapping[int, int], place: int, line: int) -> tuple[int | None, int, int]:
    """Whose interval covers `place` of a line that is `line` long; with the place in the interval, and its length.

    All are whole numbers: lengths are weights times `line`, so nothing is rounded. None when there is no weight at all.
    """
    point = place * sum(weights.values())
    for version in sorted(weights):
        length = weights[version] * line
        if point < length:
            return version, point, length
        point -= length
    return None, 0, line
