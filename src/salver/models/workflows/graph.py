"""The order of a graph's nodes, and what may be wrong with one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from salver.errors import Code, LoadError

Graph = Mapping[str, Sequence[str]]
"""For each node those that get its answer."""

SELF_LOOP = "Self loop exception"
NO_ORDER = "Not a valid DAG"
TWO_STARTS = "DAG should have only one start node"
"""TorchServe's words."""


class GraphRefused(LoadError):
    """The graph cannot be followed; the message begins with TorchServe's words for it."""


def predecessors(graph: Graph) -> dict[str, tuple[str, ...]]:
    """For each node those whose answers it gets, in the order of the graph."""
    before: dict[str, list[str]] = {name: [] for name in _names(graph)}
    for name, followers in graph.items():
        for follower in followers:
            if name not in before[follower]:
                before[follower].append(name)
    return {name: tuple(names) for name, names in before.items()}


def ordered(graph: Graph) -> tuple[str, ...]:
    """All nodes, each after those whose answers it gets. Raises GraphRefused."""
    before = predecessors(graph)
    for name, names in before.items():
        if name in names:
            raise _refused(SELF_LOOP, f"{name} follows itself")
    starts = [name for name, names in before.items() if not names]
    if len(starts) != 1:
        raise _refused(TWO_STARTS, f"these follow no other: {', '.join(starts) or 'none'}")
    done: dict[str, None] = {}
    while ready := [name for name, names in before.items() if name not in done and done.keys() >= set(names)]:
        done |= dict.fromkeys(ready)
    left = [name for name in before if name not in done]
    if left:
        raise _refused(NO_ORDER, f"these wait for one another: {', '.join(left)}")
    return tuple(done)


def _names(graph: Graph) -> tuple[str, ...]:
    """In the order in which they are first named."""
    return tuple(dict.fromkeys(name for begin, ends in graph.items() for name in (begin, *ends)))


def _refused(words: str, why: str) -> GraphRefused:
    fix = "Correct `dag` in the specification: one first node, and no node that waits for itself by way of others."
    return GraphRefused(Code.INVALID_INPUT, f"{words}: {why}", fix=fix)
