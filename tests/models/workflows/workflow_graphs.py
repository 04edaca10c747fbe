"""Random graphs that can be followed, and workflows of them."""

from __future__ import annotations

from hypothesis import strategies as st

from salver.models.workflows.base import Node, Workflow
from salver.models.workflows.graph import Graph, ordered, predecessors


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Every node but the first one follows an earlier one, and perhaps more of them."""
    names = [f"n{number}" for number in range(draw(st.integers(1, 12)))]
    graph: dict[str, list[str]] = {name: [] for name in names}
    for place, name in enumerate(names[1:], 1):
        for before in draw(st.sets(st.integers(0, place - 1), min_size=1, max_size=3)):
            graph[names[before]].append(name)
    return {name: graph[name] for name in draw(st.permutations(names))}


def workflow(graph: Graph) -> Workflow:
    before = predecessors(graph)
    nodes = tuple(Node(name=name, after=before[name]) for name in ordered(graph))
    return Workflow(name="w", url="w.war", nodes=nodes)
